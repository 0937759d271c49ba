"""Peers that do not do their part, and one who measures what others notice of it."""

import contextlib
import errno
import http.client
import multiprocessing
import selectors
import socket
import ssl
import time


def close_all(sockets):
    for each in sockets:
        each.close()


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
                new.bind((self.addresses[number % len(self.addresses)], 0))
                if new.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS):
                    selector.register(new, selectors.EVENT_WRITE)
                    begun.append(new)
                else:
                    new.close()
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
        close_all(self.sockets)
        self.sockets = []


def one_request(port, tls, source):
    """On a connection of its own: seconds, or None if it was not served."""
    begun = time.monotonic()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(source, 0))
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, source_address=(source, 0),
                                                     context=context)
        connection.request("GET", "/_matrix/client/versions")
        served = connection.getresponse().status == 200
        connection.close()
        return time.monotonic() - begun if served else None
    except (OSError, http.client.HTTPException):
        return None


def ask_on(ports, source, seconds, results):
    """Asks each of the listeners, (port, whether TLS), again and again."""
    times = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for port, tls in ports:
            times.append(one_request(port, tls, source))
            time.sleep(0.005)
    results.put(times)


class Bystander:
    """Somebody else, in a process of their own so that a flood here does not slow them down."""

    def __init__(self, ports, source):
        self.ports, self.source = ports, source

    @contextlib.contextmanager
    def asks(self, seconds):
        """While the block runs and until the time is over; gives a list that then has all times."""
        results, times = multiprocessing.Queue(), []
        process = multiprocessing.Process(target=ask_on, args=(self.ports, self.source, seconds, results))
        process.start()
        try:
            yield times
            times += results.get(timeout=60)
        finally:
            process.join(10)
            if process.is_alive():
                process.kill()


def p99(times):
    return sorted(times)[int(len(times) * 0.99)]
