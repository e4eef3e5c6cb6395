"""Secrets are cut out of lines, and nothing else is."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peep.errors import ConfigError
from peep.loglines import LogLine
from peep.rules import Rule, RuleSet
from peep.rules.redaction import MARK, MAX_LOOKED_AT_BYTES, Redactor, Secret, cut
from peep.rules.secrets import FORMS, KINDS

REDACTOR = Redactor()
HEAD = "Nov 21 12:00:00 web1 "


def redacted(line: str, redactor=REDACTOR) -> str:
    text = line.encode()
    secrets = redactor.secrets(text)
    assert not secrets or redactor.suspects([text]) == {0}, "a sign is missing"
    return cut(text, (0, len(text)), secrets).decode()


# In each line, what stands between « and » must go and all the rest must stay.
PLANTED = [
    # sshd
    "sshd[1]: Invalid user «p@ss w0rd» from 1.2.3.4 port 4711",
    "sshd[1]: Invalid user «root from 10.0.0.1 port 22 ssh2» from 1.2.3.4 port 4711",
    "sshd[1]: Illegal user «hunter2» from ::1",
    "sshd[1]: Failed password for invalid user «hunter2» from 1.2.3.4 port 22 ssh2",
    "sshd[1]: Failed none for illegal user «hunter2» from 1.2.3.4 port 22 ssh2",
    "sshd[1]: input_userauth_request: invalid user «a b» [preauth]",
    "sshd[1]: Connection closed by invalid user «a b» 1.2.3.4 port 22 [preauth]",
    (
        "sshd[1]: message repeated 2 times: [ Failed password for invalid user «x» fr"
        "om 1.2.3.4 port 22 ssh2]"
    ),
    (
        "sshd[1]: Disconnecting invalid user «a» 1.2.3.4 port 5: Change of username or "
        "service not allowed: («a»,ssh-connection) -> («b»,ssh-connection) [preauth]"
    ),
    # PAM, login, su, sudo
    "sshd[1]: pam_unix(sshd:auth): check pass; user («hunter2») unknown",
    "login[1]: pam_sss(login:auth): authentication failure; rhost= user=«hunter2»",
    "login[1]: FAILED LOGIN (1) on '/dev/tty1' FOR '«hunter2»', Authentication failure",
    "login[1]: FAILED LOGIN 2 FROM tty1 FOR «hunter2», User not known",
    "login: 1 LOGIN FAILURE ON tty1, «hunter2»",
    'audit[1]: USER_AUTH pid=1 acct="«hunter2»" exe="/usr/sbin/sshd" res=failed',
    'app: ftp://bob:«S3/cr=et»@h/a@b {"key": "x", "apiKey": "«S3cret»"}',
    "su: No passwd entry for user '«hunter2»'",
    "su[1]: user «hunter2» does not exist or the user entry lacks fields",
    "sudo: unknown user: «hunter2»",
    (
        "sudo: bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; "
        "COMMAND=/usr/bin/mysql -u root -p«S3cret» db"
    ),
    (
        "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/tool "
        "--password «S3cret» --http-password=«S3cret» --token «S3cret» --user bob"
    ),
    # commands
    (
        "CRON[1]: (root) CMD (PGPASSWORD=«S3cret» pg_dump -h db -p 5432 && curl -u "
        'bob:«S3cret» -H "Authorization: Bearer «S3cretS3cret»" '
        "https://bob:«S3cret»@h/p?q=1&token=«S3cret»&n=2)"
    ),
    "sudo: COMMAND=/usr/bin/sshpass -p «S3cret» ssh -p 22 bob@host",
    "sudo: COMMAND=/usr/bin/docker login -u bob -p «S3cret» registry",
    "sudo: COMMAND=/usr/bin/redis-cli -h h -a «S3cret» ping",
    "sudo: COMMAND=/usr/bin/htpasswd -bc /etc/file bob «S3cret»",
    "sudo: COMMAND=/usr/bin/openssl rsa -passin pass:«S3cret» -in k",
    "sudo: COMMAND=/bin/sh -c echo «S3cret» | passwd --stdin bob",
    "sudo: COMMAND=/usr/bin/smbclient -U bob%«S3cret» //h/s",
    # databases
    "mysqld: Access denied for user '«hunter2»'@'1.2.3.4' (using password: YES)",
    "mysqld: CREATE USER bob IDENTIFIED BY '«S3 cret»' PASSWORD EXPIRE",
    "mysqld: SET PASSWORD FOR bob = '«S3cret»'",
    'postgres: FATAL:  role "«hunter2»" does not exist',
    'postgres: FATAL:  password authentication failed for user "«hunter2»"',
    "postgres: STATEMENT:  ALTER USER bob WITH ENCRYPTED PASSWORD '«S3cret»'",
    # mail
    "dovecot: auth: pam(«hunter2»,1.2.3.4,<a>): unknown user",
    (
        "dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): "
        "user=<«hunter2»>, method=PLAIN, rip=1.2.3.4"
    ),
    (
        "postfix/smtpd[1]: warning: x[1.2.3.4]: SASL LOGIN authentication failed: "
        "authentication failure, sasl_username=«hunter2»"
    ),
    "saslauthd[1]: do_auth : auth failure: [user=«hunter2»] [service=smtp] [realm=]",
    (
        "exim[1]: login authenticator failed for (h) [1.2.3.4]: 535 Incorrect "
        "authentication data (set_id=«hunter2»)"
    ),
    # web
    '1#1: *1 user "«hunter2»" was not found in "/etc/htpasswd", client: 1.2.3.4',
    "[auth_basic:error] [client 1.2.3.4:5] AH01618: user «hunter2» not found: /private",
    '1.2.3.4 - «hunter2» [21/Nov/2026:12:00 +0000] "GET / HTTP/1.1" 401 12 "-" "x"',
    (
        '1.2.3.4 - - [21/Nov/2026:12:00 +0000] "GET /a?key=«S3cret»&y=1&api_key=«S3» '
        'HTTP/1.1" 200 12 "https://u:«S3cret»@h/a?sid=«1»" "x"'
    ),
    '{"user": "bob", "password": "«S3 \\"cret»", "token":"«S3cret»"}',
    'body={\\"password\\":\\"«S3cret»\\",\\"user\\":\\"bob\\"}',
    'headers: {"authorization":"Basic «Ym9iOlMzY3JldA==»","accept":"*/*"}',
    "Cookie: «session=abc; theme=dark»",
    # file transfer, sharing
    'vsftpd: [pid 2] [«hunter2»] FAIL LOGIN: Client "1.2.3.4"',
    "proftpd[1]: USER «hunter2»: no such user found from h [1.2.3.4] to x:21",
    "smbd[1]: Auth: user [DOM]\\[«hunter2»] at [x] status [NT_STATUS_NO_SUCH_USER]",
    # things that are secret wherever they stand
    "key «AKIAIOSFODNN7EXAMPLE» used",
    "got «ghp_abcdefghijklmnopqrstuvwxyz0123456789» there",
    "got «xoxb-1234567890-abcdefghij» there",
    "jwt «eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abc-_1» end",
    "-----BEGIN RSA PRIVATE KEY-----«MIIEabc»",
    "root:«$6$salt$hash/with.dots»:19000:0",
]


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_secret_goes_and_the_rest_stays(planted):
    line = HEAD + planted.replace("«", "").replace("»", "")
    expected, rest = "", HEAD + planted
    while "«" in rest:
        before, _, rest = rest.partition("«")
        expected += before + MARK.decode()
        rest = rest.partition("»")[2]
    assert redacted(line) == expected + rest


@pytest.mark.parametrize(
    "line",
    [
        "sshd[1]: Failed password for root from 1.2.3.4 port 22 ssh2",
        "sshd[1]: Accepted publickey for bob from 1.2.3.4 port 22 ssh2: RSA SHA256:abc",
        "sshd[1]: pam_unix(sshd:auth): check pass; user unknown",
        "sshd[1]: pam_unix(sshd:auth): authentication failure; rhost=h  user=root",
        "sudo: bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls -p /tmp",
        "sudo: bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/x",
        "CRON[1]: (root) CMD (ssh -p 2222 host mkdir -p /srv/x)",
        "kernel: CPU0: Package temperature above threshold (total events = 1)",
        "mysqld: Access denied (using password: YES), password: NO",
        (
            '1.2.3.4 - - [21/Nov/2026:12:00 +0000] "GET /a?sort=1&n=2 HTTP/1.1" 401 1 '
            '"https://h:80/a@b" "x"'
        ),
        "systemd[1]: Started passwd.service, keys: 5; monkey=1; compass=2",
    ],
)
def test_clean_lines_stay_as_they_are(line):
    assert redacted(HEAD + line) == HEAD + line


def test_each_form_is_of_a_known_kind_and_its_sign_is_of_a_text():
    assert {form.kind for form in FORMS} == set(KINDS)
    assert not any(
        set("^$") & set(form.sign.replace(r"\$", "").replace("[^", ""))
        for form in FORMS
    )


# Where a password may be typed or stand; `{}` is it.
PLACES = [
    "sshd[7]: Invalid user {} from 203.0.113.7 port 4711",
    "sshd[7]: Failed password for invalid user {} from 203.0.113.7 port 4711 ssh2",
    "sshd[7]: Connection closed by invalid user {} 203.0.113.7 port 4711 [preauth]",
    "sshd[7]: input_userauth_request: invalid user {} [preauth]",
    "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/tool --password={}",
    "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/mysql -p{} shop",
    "CRON[7]: (root) CMD (DB_PASSWORD={} /usr/local/bin/backup)",
    "CRON[7]: (root) CMD (curl -u bob:{} https://example.org/)",
    "CRON[7]: (root) CMD (sshpass -p {} rsync /a host:/a)",
    "mysqld[7]: Access denied for user '{}'@'203.0.113.7' (using password: NO)",
    "dovecot: imap-login: Aborted login (auth failed, 1 attempts): user=<{}>, rip=::1",
    (
        "postfix/smtpd[7]: warning: x[1.1.1.1]: SASL PLAIN authentication failed: "
        "authentication failure, sasl_username={}"
    ),
    'nginx: 7#7: *1 user "{}" was not found in "/etc/nginx/htpasswd", client: 1.1.1.1',
    "app: Authorization: Bearer {}",
    "login[7]: FAILED LOGIN (1) on '/dev/tty1' FOR '{}', Authentication failure",
]
URLS = [
    'nginx: 1.1.1.1 - - [21/Nov/2026:12:00 +0000] "GET /?api_key={}&n=1 HTTP/1" 200 1',
    "CRON[7]: (root) CMD (wget -q https://bob:{}@example.org/x)",
    "app: fetching https://example.org/hook?user=1&token={}",
    "app: connecting to postgres://shop:{}@db:5432/shop",
]
LETTERS = string.ascii_letters + string.digits
SIGNS = "!#$%*+,-.:;=?@^_~&|(){}[]"


def test_of_a_thousand_planted_secrets_none_is_left():
    rng = random.Random(7)
    rules = RuleSet(
        [
            Rule(name="a", match=r" (?:user|for|bob) (?P<instance>\S+)", event="e"),
            Rule(name="b", match="(?P<text>[^ ]+(?: .*)?)$", event="e"),
        ],
        redactor=REDACTOR,
    )
    lines, secrets = [], []
    for number in range(1000):
        in_url = number % 4 == 0
        letters = LETTERS if in_url else LETTERS + SIGNS
        middle = "".join(rng.choices(letters, k=rng.randint(6, 20)))
        secret = rng.choice(LETTERS) + middle + rng.choice(LETTERS)
        place = rng.choice(URLS if in_url else PLACES)
        secrets.append(secret)
        text = (HEAD + place.replace("{}", secret)).encode()
        lines.append(LogLine("f", number, text, origin=1))
    events = rules.events(lines)
    assert len(events) == 1000
    for secret, event in zip(secrets, events, strict=True):
        assert "[redacted]" in event.text
        left = event.text + event.instance
        for size in (len(secret), 6):
            pieces = {secret[at : at + size] for at in range(len(secret) - size + 1)}
            assert not any(piece in left for piece in pieces), (secret, event)


def test_an_instance_that_is_a_secret_goes_from_the_instance_too():
    match = r"invalid user (?P<instance>.+) from"
    rules = RuleSet([Rule(name="a", match=match, event="e")], redactor=REDACTOR)
    line = LogLine("f", 0, b"sshd: invalid user hunter2 from 1.2.3.4 port 1")
    assert rules.event(line).instance == "[redacted]"
    assert rules.event(line).text == "sshd: invalid user [redacted] from 1.2.3.4 port 1"


def test_a_text_that_is_a_part_of_the_line_is_cut_with_what_is_around_it_in_mind():
    match = r"user (?P<text>\w+) (?P<instance>\w+)"
    rules = RuleSet([Rule(name="a", match=match, event="e")], redactor=REDACTOR)
    event = rules.event(LogLine("f", 0, b"invalid user pass word from 1.2.3.4"))
    assert (event.text, event.instance) == ("[redacted]", "[redacted]")


def test_without_a_redactor_nothing_is_cut():
    rules = RuleSet([Rule(name="a", match="user", event="e")])
    assert "hunter2" in rules.event(LogLine("f", 0, b"invalid user hunter2")).text


def test_lines_with_a_sign_are_found_among_many():
    dirty = b"invalid user x from 1.2.3.4"
    texts = [b"clean", dirty, b"", dirty, dirty, b"clean\nwith a break", dirty]
    assert REDACTOR.suspects(texts) == {1, 3, 4, 6}
    assert REDACTOR.suspects([dirty, b"", b""]) == {0}
    assert REDACTOR.suspects([b"clean"] * 3) == set()
    assert REDACTOR.suspects([]) == set()


@given(
    st.lists(
        st.sampled_from(
            [b"invalid user a", b"x", b"", b"pass", b"word=a", b"?key=1", b"\n"]
        ),
        max_size=8,
    )
)
def test_many_lines_are_suspected_as_each_of_them_is(texts):
    each = {at for at, text in enumerate(texts) if REDACTOR.suspects([text])}
    assert REDACTOR.suspects(texts) == each


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [f.sign.encode() for f in FORMS]
                + [b"invalid user ", b" from ", b'"', b"'", b"password=", b"x"]
            )
        ).map(b" ".join),
    )
)
def test_secrets_are_in_order_and_apart_whatever_the_line(text):
    secrets = REDACTOR.secrets(text)
    at = -1
    for secret in secrets:
        assert at < secret.begin < secret.end <= len(text)
        at = secret.end
    if secrets:
        assert REDACTOR.suspects([text]) == {0}


def test_of_an_overlong_line_with_a_sign_the_rest_is_secret():
    text = b"password=a " + b"x" * MAX_LOOKED_AT_BYTES
    assert REDACTOR.secrets(text) == [
        Secret(9, 10, "password"),
        Secret(MAX_LOOKED_AT_BYTES, len(text), "password"),
    ]
    late = b"x " * MAX_LOOKED_AT_BYTES + b"password=a"
    assert [s.end for s in REDACTOR.secrets(late)] == [len(late)]
    assert REDACTOR.secrets(b"x" * 3 * MAX_LOOKED_AT_BYTES) == []


def test_of_a_line_with_too_many_secrets_the_rest_is_secret():
    text = b"password=secret " * 40
    secrets = REDACTOR.secrets(text)
    assert secrets[-1].end == len(text)
    assert b"secret" not in cut(text, (0, len(text)), secrets)


def test_a_part_of_a_text_is_cut_where_secrets_touch_it():
    secrets = [Secret(2, 4, "key"), Secret(6, 8, "key")]
    assert cut(b"0123456789", (0, 10), secrets) == b"01[redacted]45[redacted]89"
    assert cut(b"0123456789", (3, 6), secrets) == b"[redacted]45"
    assert cut(b"0123456789", (4, 6), secrets) == b"45"
    assert cut(b"0123456789", (2, 3), secrets) == b"[redacted]"
    assert cut(b"0123456789", (-1, -1), secrets) == b""


def test_patterns_of_ones_own_are_cut_by_their_groups_or_as_a_whole():
    redactor = Redactor([r"EMP-\d+", r"^pin (\d+)$"])
    assert (
        redacted("see EMP-123 and EMP-4", redactor) == "see [redacted] and [redacted]"
    )
    assert redacted("pin 1234", redactor) == "pin [redacted]"
    assert redactor.suspects([b"a", b"pin 12", b"pin 12 "]) == {1}


def test_kinds_can_be_kept():
    redactor = Redactor(keep=["user"])
    line = "invalid user bob from 1.2.3.4 password=x"
    assert (
        redacted(line, redactor) == "invalid user bob from 1.2.3.4 password=[redacted]"
    )
    assert redacted(line, Redactor(keep=KINDS)) == line


def test_what_is_wrong_with_patterns_and_kinds_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        Redactor(["a(", r"\Aa", "x*", "a"], ["names"])
    assert caught.value.problems == [
        "redact a(: missing ): a(",
        r"redact \Aa: write ^ and $ for the ends of a line",
        "redact x*: matches an empty line, and so every line",
        "unknown kind 'names' (password, token, key, url, user)",
    ]
