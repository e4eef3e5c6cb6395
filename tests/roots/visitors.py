"""What strangers do to a web server and a mail server; prints what they got, as JSON.

Run by the tests with nothing but a room's network around it.
"""

import base64
import collections
import concurrent.futures
import contextlib
import http.client
import json
import smtplib
import socket
import sys

WRONG = {"Authorization": "Basic " + base64.b64encode(b"alice:wrong").decode()}
REQUESTS = (
    *(("GET", "/", {}, None),) * 5,
    *(("GET", "/none", {}, None),) * 3,
    ("GET", "/moved", {}, None),
    ("GET", "/admin", {}, None),
    ("GET", "/app", {}, None),
    ("GET", "/broken", {}, None),
    ("GET", "/slow", {}, None),
    ("GET", "/secret", WRONG, None),
    ("GET", "/.env", {}, None),
    ("GET", "/none/.git/config", {}, None),
    ("POST", "/", {}, "x" * 2000),
    ("POST", "/", {}, "x"),
)
AT_ONCE = 4
ODD_MAIL = (
    b"",
    b"GET / HTTP/1.0\r\n\r\n",
    b"EHLO x\r\nMAIL FROM:<>\r\n",  # without waiting for an answer
    b"NOSUCH\r\n" * 6,
)


def browse(rounds):
    """Ask for all pages again and again, over one connection as long as it lasts."""
    got = collections.Counter()
    connection = http.client.HTTPConnection("127.0.0.1", timeout=30)
    for _ in range(rounds):
        for verb, path, headers, body in REQUESTS:
            connection.request(verb, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            got[f"{verb} {path} {answer.status}"] += 1
    connection.close()
    return got


def load(rounds):
    """Be many visitors at once."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(browse, [rounds] * AT_ONCE), collections.Counter())


def write(sender, recipient, *, source="127.0.0.1", size=10):
    """Send a letter; return what the server says to it."""
    with smtplib.SMTP("127.0.0.1", 25, source_address=(source, 0)) as mail:
        try:
            mail.sendmail(sender, [recipient], "Subject: x\n\n" + "x" * size)
        except smtplib.SMTPRecipientsRefused as refused:
            return next(iter(refused.recipients.values()))[0]
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
    return 250


def send_mail():
    """Send letters, and what are none."""
    got = [
        write("a@example.org", "alice@localhost"),
        write("a@example.org", "nobody@localhost.example"),
        write("a@example.org", "nosuch@localhost"),
        write("a@example.org", "nosuch@localhost"),
        write("a@example.org", "alice@localhost", size=30_000),
        write("alice@localhost", "bob@example.com", source="127.0.0.2"),
    ]
    for data in ODD_MAIL:
        say("127.0.0.1", 25, data)
    return got


def say(host, port, data):
    """Say something to a server, and listen until it has had enough."""
    with (
        socket.create_connection((host, port), timeout=30) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["web", rounds]:
            json.dump(load(int(rounds)), sys.stdout)
        case ["mail"]:
            json.dump(send_mail(), sys.stdout)
        case ["say", port, *words]:
            for word in words:
                say("127.0.0.1", int(port), word.encode("latin-1"))
