//! Resolves the cases of polder_resolution_cases with ruma-state-res, compares the results, and
//! shows the times of both.
//!
//! A case is a name and a room version, the room's events, the states, what Polder resolved them to
//! and how long that took. Only resolve() is timed; events are parsed, and auth chains and the
//! conflicted state subgraph are ready, before.

use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead},
    process::ExitCode,
    time::{Duration, Instant},
};

use ruma_common::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId,
    RoomVersionId, UserId, room_version_rules::RoomVersionRules,
};
use ruma_events::TimelineEventType;
use ruma_state_res::{Event, StateMap, resolve, utils::event_id_set::EventIdSet};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Content {
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    #[serde(rename = "type")]
    event_type: TimelineEventType,
    state_key: Option<String>,
    content: Box<RawValue>,
    auth_events: Vec<Link>,
    prev_events: Vec<Link>,
}

/// Room versions 1 and 2 name events with their hashes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Link {
    Id(OwnedEventId),
    Pair(OwnedEventId, serde::de::IgnoredAny),
}

struct Pdu {
    event_id: OwnedEventId,
    content: Content,
    auth_events: Vec<OwnedEventId>,
    prev_events: Vec<OwnedEventId>,
    rejected: bool,
}

impl Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &Self::Id {
        &self.event_id
    }
    fn room_id(&self) -> Option<&RoomId> {
        self.content.room_id.as_deref()
    }
    fn sender(&self) -> &UserId {
        &self.content.sender
    }
    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.content.origin_server_ts
    }
    fn event_type(&self) -> &TimelineEventType {
        &self.content.event_type
    }
    fn content(&self) -> &RawValue {
        &self.content.content
    }
    fn state_key(&self) -> Option<&str> {
        self.content.state_key.as_deref()
    }
    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.prev_events.iter())
    }
    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.auth_events.iter())
    }
    fn redacts(&self) -> Option<&Self::Id> {
        None
    }
    fn rejected(&self) -> bool {
        self.rejected
    }
}

#[derive(Default)]
struct Case {
    name: String,
    version: String,
    events: HashMap<OwnedEventId, Pdu>,
    states: Vec<Vec<OwnedEventId>>,
    ours: Vec<OwnedEventId>,
    our_time: Duration,
}

impl Case {
    fn add_event(&mut self, rest: &str) {
        let (id, rest) = rest.split_once(' ').expect("an event id");
        let (rejected, json) = rest.split_once(' ').expect("a standing");
        let mut content: Content = serde_json::from_str(json).expect("an event");
        let ids = |links: &mut Vec<Link>| {
            let ids = std::mem::take(links).into_iter().map(|link| match link {
                Link::Id(id) | Link::Pair(id, _) => id,
            });
            ids.collect()
        };
        let event_id: OwnedEventId = id.try_into().expect("an event id");
        let pdu = Pdu {
            event_id: event_id.clone(),
            auth_events: ids(&mut content.auth_events),
            prev_events: ids(&mut content.prev_events),
            content,
            rejected: rejected == "1",
        };
        self.events.insert(event_id, pdu);
    }

    fn state_map(&self, ids: &[OwnedEventId]) -> StateMap<OwnedEventId> {
        ids.iter()
            .map(|id| {
                let content = &self.events[id].content;
                let key = content.state_key.clone().expect("a state key");
                ((content.event_type.to_string().into(), key), id.clone())
            })
            .collect()
    }

    /// The events that these reach, without them unless they are reached.
    fn auth_chain(&self, ids: &[OwnedEventId]) -> EventIdSet<OwnedEventId> {
        let mut seen = HashSet::new();
        let mut waiting: Vec<&EventId> = ids.iter().map(|id| &**id).collect();
        while let Some(id) = waiting.pop() {
            for auth in &self.events[id].auth_events {
                if seen.insert(auth.clone()) {
                    waiting.push(auth);
                }
            }
        }
        seen.into_iter().collect()
    }

    /// What lies on paths between conflicted events.
    fn subgraph(&self, conflicted: &HashSet<OwnedEventId>) -> EventIdSet<OwnedEventId> {
        fn reaches<'a>(
            case: &'a Case,
            id: &'a OwnedEventId,
            ends: &HashSet<OwnedEventId>,
            known: &mut HashMap<&'a OwnedEventId, bool>,
        ) -> bool {
            if let Some(&known) = known.get(id) {
                return known;
            }
            let mut found = ends.contains(id);
            for auth in &case.events[id].auth_events {
                found |= reaches(case, auth, ends, known);
            }
            known.insert(id, found);
            found
        }
        let mut known = HashMap::new();
        for id in conflicted {
            reaches(self, id, conflicted, &mut known);
        }
        known.into_iter().filter(|(_, reaches)| *reaches).map(|(id, _)| id.clone()).collect()
    }

    fn conflicted(&self, maps: &[StateMap<OwnedEventId>]) -> HashSet<OwnedEventId> {
        let agreed = |key, id| maps.iter().all(|map| map.get(key) == Some(id));
        let all = maps.iter().flatten();
        all.filter(|(key, id)| !agreed(key, id)).map(|(_, id)| id.clone()).collect()
    }

    /// The result, and the shortest of the times, as Polder's is.
    fn resolve(&self, timed: bool) -> (Vec<OwnedEventId>, Duration) {
        let version = RoomVersionId::try_from(self.version.as_str()).expect("a room version");
        let rules: RoomVersionRules = version.rules().expect("known rules");
        let state_res = rules.state_res.v2_rules().expect("not version 1");
        let maps: Vec<_> = self.states.iter().map(|ids| self.state_map(ids)).collect();
        let chains: Vec<_> = self.states.iter().map(|ids| self.auth_chain(ids)).collect();
        let subgraph = self.subgraph(&self.conflicted(&maps));
        let mut times = Vec::new();
        let begin = Instant::now();
        let resolved = loop {
            let (chains, subgraph) = (chains.clone(), std::cell::Cell::new(Some(subgraph.clone())));
            let start = Instant::now();
            let resolved = resolve(
                &rules.authorization,
                state_res,
                &maps,
                chains,
                |id| self.events.get(id),
                |_| subgraph.take(),
            );
            times.push(start.elapsed());
            let enough = begin.elapsed() > Duration::from_secs(2) && times.len() >= 5;
            if !timed || enough {
                break resolved.expect("a resolved state");
            }
        };
        (resolved.into_values().collect(), *times.iter().min().expect("a run"))
    }

    /// True if both resolved to the same.
    fn run(&self) -> bool {
        let timed = !self.our_time.is_zero();
        let (mut theirs, time) = self.resolve(timed);
        let mut ours = self.ours.clone();
        ours.sort();
        theirs.sort();
        let equal = ours == theirs;
        if timed {
            let [ours, theirs] = [self.our_time, time].map(|time| time.as_secs_f64() * 1e6);
            let result = if equal { "" } else { "  DIFFERENT RESULT" };
            println!("{:<44} {ours:>12.1} {theirs:>14.1} {:>8.1}{result}", self.name, theirs / ours);
        }
        if !equal {
            println!("{}, room version {}:", self.name, self.version);
            self.tell("only ours", &ours, &theirs);
            self.tell("only theirs", &theirs, &ours);
        }
        equal
    }

    fn tell(&self, label: &str, of: &[OwnedEventId], other: &[OwnedEventId]) {
        for id in of.iter().filter(|id| !other.contains(id)) {
            let Content { event_type, state_key, content, .. } = &self.events[id].content;
            println!("  {label}: {id} {event_type} {state_key:?} {content}");
        }
    }
}

fn ids(rest: &str) -> Vec<OwnedEventId> {
    rest.split_whitespace().map(|id| id.try_into().expect("an event id")).collect()
}

/// Deep auth chains are followed by recursion.
fn compare() -> ExitCode {
    let (mut cases, mut different, mut head) = (0, 0, false);
    let mut case = Case::default();
    for line in io::stdin().lock().lines() {
        let line = line.expect("readable input");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "case" => {
                let (version, name) = rest.split_once(' ').expect("a version and a name");
                case = Case { name: name.into(), version: version.into(), ..Case::default() };
            }
            "event" => case.add_event(rest),
            "state" => case.states.push(ids(rest)),
            "ours" => case.ours = ids(rest),
            "time" => case.our_time = Duration::from_nanos(rest.parse().expect("nanoseconds")),
            "end" => {
                if !case.our_time.is_zero() && !head {
                    head = true;
                    println!("{:<44} {:>12} {:>14} {:>8}", "case", "Polder, us", "ruma, us", "times");
                }
                cases += 1;
                different += usize::from(!case.run());
            }
            _ => panic!("an unknown line: {word}"),
        }
    }
    println!("{cases} cases, {different} with different results");
    if cases > 0 && different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let big = std::thread::Builder::new().stack_size(1 << 30);
    big.spawn(compare).expect("a thread").join().expect("no panic")
}
