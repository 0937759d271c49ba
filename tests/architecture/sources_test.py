#!/usr/bin/env python3
"""What the compiler does not check about the sources: declared includes, fences, forbidden calls, sizes."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOP = ("homeserver", "federation", "storage", "media", "appservices")

# A library that only one module may include.
FENCES = {
    r"<rocksdb/": "storage/kv",
    r"<boost/beast": "homeserver/base/http",
    r"<boost/asio/ssl": "homeserver/base/http",
    r"<openssl/ssl\.h": "homeserver/base/http",
    r"<simdjson": "homeserver/base/json",
    r"<spdlog/": "homeserver/base/values",
    r"<toml\+\+": "homeserver/server",
    r"<prometheus/": "homeserver/base/metrics",
    r"<ares\.h": "homeserver/base/egress",
    r"<yaml-cpp/": "appservices/registry",
    r"<re2/": "appservices/registry",
}

# What is not called, outside the module that wraps it, and what to use instead.
FORBIDDEN = {
    r"boost::asio::detached": (None, "runtime::spawn(), which reports exceptions"),
    r"\buse_future\b": (None, "co_await"),
    r"std::regex": (None, "a small parser: regular expressions can be made to run for ever"),
    r"\bs?rand\(": (None, "base::Random"),
    r"steady_timer|system_timer|deadline_timer": ("homeserver/base/runtime", "runtime::sleep_for() or Runtime::after()"),
    r"ip::tcp::resolver": ("homeserver/base/egress", "the egress's resolver"),
    r"std::this_thread::sleep": (None, "runtime::sleep_for()"),
    r"std::[io]?fstream|\bfopen\(": (None, "storage/files"),
    r"std::(shared_|recursive_|timed_)*mutex\b|std::condition_variable|#include <(shared_)?mutex>":
        ("homeserver/base/values", "base::Mutex with GUARDED_BY, which the compiler checks"),
    r"system_clock::now|steady_clock::now": ("homeserver/base/values", "base::Clock"),
    r"\bcall\.body\.find_": (None, "call.fields(), for which a member of another type is not absent"),
}

# What a coroutine does not take: it may go on when the value is gone. References to services and to
# the request, which outlive it, are how it reaches them.
FLEETING = re.compile(
    r"std::string_view|std::span<|const std::\w+(<.*>)?&|const json::\w+&|const (\w+::)*\w*(Id|Name|Key)&")
# Buffers, whose owner waits for the coroutine.
FLEETING_ALLOWED = {f"homeserver/base/http/{name}" for name in
                    ("client.cc", "stream.h", "tcp.cc", "tls_stream.cc", "response_writer.h", "response_writer.cc")}

# What was redacted is read where the rules go by it, and by what asks whether it was; all others have
# a reader's view, or rooms::visible_pdu().
UNREDACTED = {
    r"\bread_event_jsons?\(": {
        "storage/stores/rooms/event_rows.h", "storage/stores/rooms/event_rows.cc", "storage/stores/check/check_room.cc",
        "homeserver/rooms/model/room_view.cc", "homeserver/rooms/read/federation_reader.cc",
        "homeserver/rooms/upkeep/purge.cc", "homeserver/rooms/write/receive.cc", "federation/sender/room_servers.cc"},
    r"\bas_sent\(\)": {
        "homeserver/rooms/read/reader.h", "homeserver/rooms/read/reader.cc", "homeserver/rooms/read/federation_reader.cc",
        "homeserver/rooms/read/restricted.cc", "homeserver/sync/push/counts.cc", "federation/server/acls.cc"},
}

LINES_MAX = 600


def parameters(text, start):
    """The parameters of a declaration whose parenthesis opens at start."""
    depth, found, current = 0, [], ""
    for character in text[start:]:
        depth += (character in "(<{[") - (character in ")>}]")
        if depth == 0:
            return [*found, current]
        if depth == 1 and character == ",":
            found.append(current)
            current = ""
        elif (character, depth, current) != ("(", 1, ""):
            current += character
    return found


def coroutines(text):
    """The offset, name and parameters of what returns a Task."""
    for match in re.finditer(r"\bTask<", text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += (text[end] == "<") - (text[end] == ">")
            end += 1
        declared = re.compile(r"\s+([\w:]+)\s*(?=\()").match(text, end)
        if declared:
            yield match.start(), declared.group(1), parameters(text, declared.end())


def modules():
    text = (ROOT / "CMakeLists.txt").read_text()
    found = {}
    for call in re.findall(r"polder_module\(([^)]*)\)", text):
        words = call.split()
        dependencies, collecting = [], False
        for word in words[1:]:
            if word.isupper() or word == "COROUTINES":
                collecting = word in ("DEPS", "TEST_DEPS")
            elif collecting:
                dependencies.append(word)
        found[words[0]] = dependencies
    return found


def module_of(folder):
    """What a module's tests are made with stands in its folder `testing`."""
    return folder.removesuffix("/testing")


def sources():
    for top in TOP:
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield path, module_of(path.relative_to(ROOT).parent.as_posix()), path.read_text()


class Sources(unittest.TestCase):
    def report(self, faults):
        self.assertEqual([], faults, "\n" + "\n".join(faults))

    def test_every_include_is_of_a_declared_module(self):
        declared = modules()
        faults = []
        for path, module, text in sources():
            for include in re.findall(r'#include "([^"]+)"', text):
                other = module_of(include.rpartition("/")[0])
                if other != module and other not in declared.get(module, []):
                    faults.append(f"{path.relative_to(ROOT)}: {include} is of a module that {module} does not name")
        self.report(faults)

    def test_every_folder_with_code_is_a_module(self):
        declared = modules()
        self.report(sorted({module for _, module, _ in sources() if module not in declared}))

    def test_libraries_stay_behind_their_fences(self):
        faults = []
        for path, module, text in sources():
            for pattern, owner in FENCES.items():
                if module != owner and not path.name.endswith("_test.cc") and re.search(r"#include " + pattern, text):
                    faults.append(f"{path.relative_to(ROOT)}: {pattern} belongs to {owner}")
        self.report(faults)

    def test_nothing_forbidden_is_called(self):
        faults = []
        for path, module, text in sources():
            if path.name.endswith("_test.cc"):
                continue
            for number, line in enumerate(text.splitlines(), 1):
                code = line.split("//")[0]
                for pattern, (owner, instead) in FORBIDDEN.items():
                    if module != owner and re.search(pattern, code):
                        faults.append(f"{path.relative_to(ROOT)}:{number}: use {instead}")
        self.report(faults)

    def test_what_was_redacted_is_read_where_the_rules_need_it_only(self):
        faults = []
        for path, _, text in sources():
            name = path.relative_to(ROOT).as_posix()
            if name.endswith("_test.cc") or "/testing/" in name:
                continue
            for number, line in enumerate(text.splitlines(), 1):
                for pattern, allowed in UNREDACTED.items():
                    if name not in allowed and re.search(pattern, line.split("//")[0]):
                        faults.append(f"{name}:{number}: read events through a reader's view, which redacts")
        self.report(faults)

    def test_coroutines_take_nothing_fleeting(self):
        faults = []
        for path, _, text in sources():
            name = path.relative_to(ROOT).as_posix()
            if name.endswith("_test.cc") or name in FLEETING_ALLOWED:
                continue
            code = re.sub(r"//[^\n]*", "", text)
            for offset, function, taken in coroutines(code):
                for parameter in taken:
                    plain = " ".join(parameter.split())
                    if "function<" not in plain and FLEETING.search(plain):
                        line = code.count("\n", 0, offset) + 1
                        faults.append(f"{name}:{line}: {function}() is a coroutine: take {plain!r} by value")
        self.report(faults)

    def test_files_fit_a_head(self):
        faults = []
        for path, _, text in sources():
            lines = text.count("\n")
            if lines > LINES_MAX:
                faults.append(f"{path.relative_to(ROOT)} has {lines} lines: split it")
        self.report(faults)

    def test_headers_are_guarded_and_in_their_namespace(self):
        faults = []
        for path, module, text in sources():
            if path.suffix == ".h" and "#pragma once" not in text:
                faults.append(f"{path.relative_to(ROOT)} has no #pragma once")
        self.report(faults)


if __name__ == "__main__":
    unittest.main()
