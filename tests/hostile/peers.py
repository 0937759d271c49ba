"""Peers that do not do their part, and one who measures what others notice of it."""

import contextlib
import errno
import http.client
import multiprocessing
import selectors
import socket
import ssl
import time


BATCH = 50  # connections that are begun together; then a pause, so that it is the server that is measured
PAUSE_SECONDS = 0.01


class Flood:
    """Connections from the addresses of one network, without a look at what the server says."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.sockets = []

    def connect(self, port, count, first=b""):
        """Opens so many at once; `first` is sent on each. Gives how many of them were connected."""
        begun, connected = [], 0
        with selectors.DefaultSelector() as selector:
            for number in range(count):
                new = socket.socket()
                new.setblocking(False)
                # What the server writes stays with it, not in the operating system's buffers.
                new.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                new.bind((self.addresses[number % len(self.addresses)], 0))
                if new.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS):
                    selector.register(new, selectors.EVENT_WRITE)
                    begun.append(new)
                else:
                    new.close()
                if number % BATCH == BATCH - 1:
                    time.sleep(PAUSE_SECONDS)
            until = time.monotonic() + 5
            while selector.get_map() and time.monotonic() < until:
                for key, _ in selector.select(0.1):
                    selector.unregister(key.fileobj)
                    with contextlib.suppress(OSError):
                        if first:
                            key.fileobj.send(first)
                        connected += 1
        self.sockets += begun
        return connected

    def send(self, data):
        """A piece on each that is still open; gives on how many."""
        open_still = 0
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.send(data)
                open_still += 1
        return open_still

    def end_writing(self):
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_WR)

    def left_open(self):
        """How many the server has not closed."""
        count = 0
        for each in self.sockets:
            try:
                while each.recv(65536):
                    pass
            except BlockingIOError:
                count += 1
            except OSError:
                pass
        return count

    def close(self):
        for each in self.sockets:
            each.close()
        self.sockets = []


def one_request(port, context, source):
    """On a connection of its own, with TLS if there is a context for it: seconds, or None if it was not served."""
    begun = time.monotonic()
    where = {"host": "127.0.0.1", "port": port, "timeout": 5, "source_address": (source, 0)}
    connection = http.client.HTTPSConnection(**where, context=context) if context else http.client.HTTPConnection(**where)
    try:
        connection.request("GET", "/_matrix/client/versions")
        return time.monotonic() - begun if connection.getresponse().status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def ask_on(ports, source, seconds, begun, results):
    """Asks each of the listeners, (port, whether TLS), again and again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    times = []
    begun.set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for port, tls in ports:
            times.append(one_request(port, context if tls else None, source))
            time.sleep(0.005)
    results.put(times)


class Bystander:
    """Somebody else, in a process of their own so that a flood here does not slow them down."""

    def __init__(self, ports, source):
        self.ports, self.source = ports, source

    @contextlib.contextmanager
    def asks(self, seconds):
        """While the block runs and until the time is over; gives a list that then has all times."""
        begun, results, times = multiprocessing.Event(), multiprocessing.Queue(), []
        process = multiprocessing.Process(target=ask_on, args=(self.ports, self.source, seconds, begun, results))
        process.start()
        try:
            begun.wait(10)
            yield times
            times += results.get(timeout=60)
        finally:
            process.join(10)
            if process.is_alive():
                process.kill()


def p99(times):
    return sorted(times)[int(len(times) * 0.99)]
