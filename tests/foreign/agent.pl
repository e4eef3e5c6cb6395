#!/usr/bin/perl
# A small agent for Peep in nothing but Debian's perl-base, written from the manual page
# peep-protocol(7) alone: agent.pl HOST PORT CLASS HOSTNAME SECONDS
#
# It asks the server there by unicast, registers in an open session, sends one alert and
# one state, repeats the alert until the server has it on record, stays for so many
# seconds, and says BYE. One line of standard output for each step, exit 0; what fails is
# one line of standard error, exit 1.
#
# Left out: sealed sessions, a search for servers, and a sender id and alerts that are
# kept on disk (so if it is killed, its next start does not replace it, and an alert that
# was not confirmed is lost).

use strict;
use warnings;
use feature qw(say signatures);
no warnings qw(experimental::signatures);
use List::Util qw(all any max min);
use Socket qw(getaddrinfo SOCK_DGRAM);

use constant {
    REQUEST => 1, OFFER => 3, REGISTER => 4, GRANT => 5, CLASSES => 6, RENEW => 7,
    ACK => 8, SIGNALS => 9, BYE => 10, EXCEPTION => 11, RECEIPT => 12,
    NONE => "\0" x 8, REPEAT_S => 30,    # no session; when states are said again
};
my %LIMIT = (OFFER, 464, GRANT, 464, EXCEPTION, 464, RENEW, 1200, ACK, 1200, BYE, 1200,
    RECEIPT, 1200);
my @CODES = ("", "VERSION", "NOT_ADMITTED", "UNKNOWN_KEY", "KEY_NEEDED");
my @HANDSHAKE_PAUSES = (0.25, 0.5, 1, 2, 2.5);
my @ALERT_PAUSES = (0.3, 0.6, 1.2, 2.5, 5, 10);
my $CLASS = qr/\A[!-~]{1,64}\z/;

my ($host, $port, $class, $hostname, $seconds) = @ARGV;
my ($socket, $me, $nonce, $session, $lease);
my ($server, $peer);          # the server's id and address, from its OFFER
my $said = 0;                 # our last number of the session
my ($newest, %taken) = (0);   # the server's numbers
my ($heard, $ask, @pauses);   # its last word; when to ask for the next
my ($origin, $serial) = (0, 1);    # the id of our alert
my ($born, $due, $tries, $recorded) = (0, 0, 0, 0);    # and how it stands
my $hint = "";                # why nothing comes of it, perhaps

sub main() {
    fail("usage: agent.pl HOST PORT CLASS HOSTNAME SECONDS")
        unless @ARGV == 5 && $class =~ $CLASS && $class !~ /\A\*/
        && $hostname =~ /\A[!-~]{1,253}\z/ && $seconds =~ /\A\d+\z/;
    $| = 1;
    $SIG{INT} = $SIG{TERM} = sub { fail("stopped") };
    my ($problem, $address) = getaddrinfo($host, $port, {socktype => SOCK_DGRAM});
    fail("$host: $problem") if $problem;
    ($me, $nonce) = (random_id(), random_id());
    socket($socket, $address->{family}, SOCK_DGRAM, 0) or fail("socket: $!");

    # The 24 bytes make room for the OFFER, which must not be longer than its REQUEST.
    my $request = array(array(str($class)), array(), bin("\0" x 24));
    my $ask_for_it = sub { put($address->{addr}, REQUEST, NONE, 0, $request) };
    my $cookie = persist([1, 5, 5], $ask_for_it, \&take_offer) or fail("no OFFER");
    say "offered";

    my $body = array(bin($cookie), bin(array(int_(0))));    # the Wish: any lease
    my $register = sub { put($peer, REGISTER, $nonce, 0, $body) };
    persist(\@HANDSHAKE_PAUSES, $register, \&take_grant) or fail("no GRANT");
    say "granted $lease";

    my $labels = map_(str("language"), str("Perl"));
    my $classes = array(str($hostname), array(str($class)), $labels);
    my %introduced;
    my $introduce = sub { $introduced{speak(CLASSES, $classes)} = 1 };
    my $take_ack = sub ($packet) { $introduced{take_word($packet) // 0} };
    persist(\@HANDSHAKE_PAUSES, $introduce, $take_ack) or fail("no ACK of CLASSES");
    say "leased";
    ($origin, $born) = (unpack("Q>", random_id()) >> 1 || 1, now());
    alert();
    say "signalled";
    stay($seconds);
    fail("no RECEIPT") unless $recorded;
    speak(BYE, array());
    say "bye";
}

sub stay($seconds) {
    my ($end, $repeat) = (now() + $seconds, now() + REPEAT_S);
    while (now() < $end) {
        my $packet = get(min($end, $repeat, $ask, $heard + $lease, $recorded ? () : $due));
        take_word($packet) if $packet;
        fail("no word for a whole lease") if now() >= $heard + $lease;
        alert() if !$recorded && now() >= $due;
        speak(SIGNALS, signals(0)), $repeat += REPEAT_S if now() >= $repeat;
        next if now() < $ask;
        speak(RENEW, array(int_(0)));
        $ask = now() + (@pauses ? shift(@pauses) * (0.5 + rand) : 2.5);
    }
}

# Say the alert, for the first time or again.
sub alert() {
    speak(SIGNALS, signals(1));
    $due = now() + $ALERT_PAUSES[min($tries++, $#ALERT_PAUSES)] * (0.75 + rand(0.5));
}

sub signals($with_event) {
    # name, tier, family, count, pan, gain, age; name, value, pan, gain
    my $age_ms = int((now() - $born) * 1000);
    my $event = array(map { int_($_) } 0, 2, 2, 1, -30, -60, $age_ms);
    my $state = array(map { int_($_) } 1, 5000, -30, -60);
    my $ids = array(int_($origin), array(int_($serial)));
    return array(array(map { str($_) } "perl.event", "perl.state", "system"),
        array($with_event ? $event : ()), array($state), array(), int_(REPEAT_S),
        array($with_event ? $ids : ()));
}

# ---- what comes ----
sub take_offer($packet) {
    return if $packet->{type} != OFFER || $packet->{session} ne NONE || $packet->{sequence};
    my ($cookie, $served) = fields($packet->{body}, "cookie", "list") or return;
    return unless all { $_->[0] eq "str" && $_->[1] =~ $CLASS } @$served;
    return unless any { $_->[1] eq $class } @$served;
    ($server, $peer) = @$packet{qw(sender from)};
    return $cookie;
}

sub take_grant($packet) {
    return unless $packet->{type} == GRANT && $packet->{sequence} == 0;
    return unless $packet->{from} eq $peer && $packet->{sender} eq $server;
    my ($echo, $hello) = fields($packet->{body}, "id", "hello") or return;
    my ($seconds, $id, $from) = fields($hello, "lease", "id", "id") or return;
    return unless $echo eq $nonce && $id eq $packet->{session} && $from eq $server;
    ($session, $lease) = ($id, $seconds);
    return 1;
}

# A word of the session; the number that it acknowledges, if it is an ACK.
sub take_word($packet) {
    my ($type, $number) = @$packet{qw(type sequence)};
    return unless $packet->{from} eq $peer && $packet->{sender} eq $server;
    return unless $packet->{session} eq $session;
    return if !$number || $number <= $newest - 1024 || $taken{$number};
    my $types = {RENEW, ["uint=0", "ids=0"], ACK, ["uint"], BYE, [], RECEIPT, ["ids"]}
        ->{$type} or return;
    my ($value, $ids) = fields($packet->{body}, @$types) or return;
    $ids = $value if $type == RECEIPT;
    my $names_ours = $type == RENEW || $type == RECEIPT ? named($ids) // return : 0;
    ($taken{$number}, $newest) = (1, max($newest, $number));
    delete @taken{grep { $_ <= $newest - 1024 } keys %taken};
    undef $session, fail("the server said BYE") if $type == BYE;
    if ($type == RENEW) {
        $lease = $value if $value >= 10 && $value <= 300;    # 0: unchanged
        speak(ACK, array(int_($number)));
        say "renewed";
    }
    say "recorded" if $names_ours && !$recorded++;
    $heard = now();
    ($ask, @pauses) = ($heard + $lease * 3 / 4, 0.5, 1, 2);
    return $type == ACK ? $value : undef;
}

# Whether these Ids name our alert; undef if they are none.
sub named($ids) {
    my $named = 0;
    for (@$ids) {
        my ($from, $serials) = $_->[0] eq "array" ? typed($_->[1], "part", "serials") : ()
            or return;
        for (@$serials) {
            my ($one) = typed([$_], "part") or return;
            $named ||= $from == $origin && $one == $serial;
        }
    }
    return $named;
}

sub fail($why) {
    speak(BYE, array()) if $session;
    say STDERR "agent.pl: $why", $hint && " ($hint)";
    exit 1;
}

# ---- datagrams ----
# Say it, and again after each pause, until an answer is taken; nothing if none is.
sub persist($pauses, $say, $take) {
    for my $pause (@$pauses) {
        $say->();
        my $until = now() + $pause;
        while (my $packet = get($until)) {
            my $answer = $take->($packet);
            return $answer if $answer;
        }
    }
    return;
}

sub speak($type, $body) { put($peer, $type, $session, ++$said, $body); return $said }

sub put($to, $type, $session, $number, $body) {
    my $header = pack("C C n N a8 a8 N", 3, $type, 0, 0, $me, $session, $number);
    # What cannot be sent is as lost as what the network loses: it is said again.
    send($socket, $header . $body, 0, $to) or $hint = "send: $!";
}

# The next datagram that may be for us, or nothing at that time.
sub get($until) {
    while ((my $left = $until - now()) > 0) {
        vec(my $readable = "", fileno($socket), 1) = 1;
        next unless select($readable, undef, undef, $left) > 0;
        my $from = recv($socket, my $data, 65536, 0);
        next if !defined $from || length $data < 28;
        my %packet = (from => $from, body => substr($data, 28));
        (my ($version, $flags, $key), @packet{qw(type sender session sequence)})
            = (unpack("C C n N a8 a8 N", $data))[0, 2, 3, 1, 4, 5, 6];
        next if $version != 3 || $flags || $key;
        next if length $data > ($LIMIT{$packet{type}} // 0);
        return \%packet unless $packet{type} == EXCEPTION;
        my ($code) = fields($packet{body}, "code") or next;
        $hint = "the server says $CODES[$code]";
    }
    return;
}

sub start_of($file, $count) {
    open(my $handle, "<:raw", $file) or fail("$file: $!");
    sysread($handle, my $bytes, $count) or fail("$file: nothing in it");
    return $bytes;
}
sub random_id() { return start_of("/dev/urandom", 8) }
# Seconds of a clock that nobody sets, and that goes on in suspend.
sub now() { return (split " ", start_of("/proc/uptime", 64))[0] }

# ---- msgpack: what is said here has only these forms, what comes may have any ----
sub int_($n) {
    return pack("c", $n) if $n >= -32 && $n < 128;
    return pack("C c", 0xd0, $n) if $n < 0;    # none below -128
    return pack("C C", 0xcc, $n) if $n < 256;
    return pack("C n", 0xcd, $n) if $n < 65536;
    return $n < 4294967296 ? pack("C N", 0xce, $n) : pack("C Q>", 0xcf, $n);
}
sub str($s) { (length $s < 32 ? chr(0xa0 | length $s) : "\xd9" . chr length $s) . $s }
sub bin($s) { "\xc4" . chr(length $s) . $s }
sub array(@items) { join "", chr(0x90 | @items), @items }
sub map_(@items) { join "", chr(0x80 | @items / 2), @items }

# From 0xc0 on: what the byte begins, and how many bytes follow or the form of its number.
my @LONG = split /,/, "skip 0,,skip 0,skip 0,bin C,bin n,bin N,ext C,ext n,ext N,skip 4,"
    . "skip 8,int C,int n,int N,int Q>,int c,int s>,int l>,int q>,skip 2,skip 3,skip 5,"
    . "skip 9,skip 17,str C,str n,str N,array n,array N,map n,map N";

sub cut($in, $n) { $n > length $$in ? die "too short\n" : substr($$in, 0, $n, "") }

# Take one value from the front of a string: its type and itself, in an array.
sub value($in, $depth) {
    die "too deep\n" if $depth > 16;
    my $first = ord cut($in, 1);
    my ($type, $number) = $first < 0x80 ? (int => $first)
        : $first < 0x90 ? (map => $first & 15) : $first < 0xa0 ? (array => $first & 15)
        : $first < 0xc0 ? (str => $first & 31) : $first > 0xdf ? (int => $first - 256) : ();
    if (!$type) {
        ($type, $number) = split " ", $LONG[$first - 0xc0] or die "not msgpack\n";
        $number = unpack($number, cut($in, length pack($number, 0))) if $type ne "skip";
    }
    return [int => $number] if $type eq "int";
    return [$type => cut($in, $number + ($type eq "ext"))] unless $type =~ /array|map/;
    my @items;
    push @items, value($in, $depth + 1) for 1 .. $number * ($type eq "map" ? 2 : 1);
    return [$type => \@items];
}

my %TYPE = (    # with the bounds of the number, the length or the count
    uint => ["int", 0, 4294967295], lease => ["int", 10, 300], code => ["int", 1, 4],
    id => ["bin", 8, 8], cookie => ["bin", 16, 16], hello => ["bin", 0, 128],
    list => ["array", 1, 64], ids => ["array", 0, 256], serials => ["array", 0, 1024],
    part => ["int", 0, 9223372036854775807],
);

# The fields of a body, of these types, and a 1; none if refused.
sub fields($body, @types) {
    my ($is, $items) = eval { @{value(\$body, 1)} } or return;
    return if length $body || $is ne "array";
    return typed($items, @types);
}

# The same of the items of an array ("=0": 0, or an empty array, if it is missing).
sub typed($items, @types) {
    my @items = @$items;
    my @fields;
    for (@types) {
        my ($type, $default) = split /=/;
        my ($must, $least, $most) = @{$TYPE{$type}};
        my $missing = [$must => $must eq "array" ? [] : $default];
        my ($is, $v) = @{shift @items // (defined $default ? $missing : return)};
        my $size = $is eq "int" ? $v : $is eq "array" ? @$v : length $v;
        return if $is ne $must || $size < $least || $size > $most;
        push @fields, $v;
    }
    return @fields, 1;
}

main();
