#include "homeserver/base/http/stream.h"

namespace polder::http {

void Deadline::set(Millis time) {
  stop();
  timer_ = runtime_.after(time, [&stream = stream_, expired = expired_] {
    *expired = true;
    stream.close();
  });
}

void Deadline::stop() {
  if (timer_) timer_->cancel();
  timer_.reset();
}

}  // namespace polder::http
