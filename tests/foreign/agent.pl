#!/usr/bin/perl
# A small agent for Peep in nothing but Debian's perl-base, written from the manual page
# peep-protocol(7) alone: the proof that the page suffices. Open classes only.
#
#   perl agent.pl HOST PORT CLASS HOSTNAME SECONDS
#
# It asks the server at HOST and PORT by unicast, registers, sends one alert and one
# state, renews its lease for so many seconds, and says BYE. One line of standard output
# for each step; exit 0. What fails is one line of standard error; exit 1.
#
# Left out: sealed sessions, looking for other servers, and an id that is kept on disk
# from start to start (so if it is killed, its next start does not replace it).

use strict;
use warnings;
use feature qw(say signatures);
no warnings qw(experimental::signatures);
use List::Util qw(all min);
use Socket qw(getaddrinfo SOCK_DGRAM);

use constant {
    REQUEST => 1, OFFER => 3, REGISTER => 4, GRANT => 5, CLASSES => 6, RENEW => 7,
    ACK => 8, SIGNALS => 9, BYE => 10, EXCEPTION => 11,
    NONE => "\0" x 8,    # the session id outside of one
    ALERT => 2, STATES_EVERY => 30,
};
my %LIMIT = (OFFER, 464, GRANT, 464, EXCEPTION, 464, RENEW, 1200, ACK, 1200, BYE, 1200);
my @HANDSHAKE_PAUSES = (0.25, 0.5, 1, 2, 2.5);
my @CODES = ("", "VERSION", "NOT_ADMITTED", "UNKNOWN_KEY", "KEY_NEEDED");
my $CLASS = qr/\A[!-~]{1,64}\z/;

die "usage: agent.pl HOST PORT CLASS HOSTNAME SECONDS\n" unless @ARGV == 5;
my ($host, $port, $class, $hostname, $seconds) = @ARGV;
die "not a class: $class\n"    unless $class =~ $CLASS && $class !~ /\A\*/;
die "not a host: $hostname\n"  unless $hostname =~ /\A[!-~]{1,253}\z/;
die "not seconds: $seconds\n"  unless $seconds =~ /\A\d+(\.\d+)?\z/;

$| = 1;
my $me = random(8);
my ($server, $peer);          # the server's id, and its packed address
my ($session, $lease);        # as granted
my $said = 0;                 # our last sequence number of the session
my ($newest, %taken) = (0);   # the server's sequence numbers
my ($heard, $ask, @ask_pauses);    # its last word; when to ask it for the next
my $stop = 0;
my $hint = "";                # why nothing comes of it, perhaps
$SIG{INT} = $SIG{TERM} = sub { $stop = 1 };

my ($problem, $address) = getaddrinfo($host, $port, {socktype => SOCK_DGRAM});
die "$host: $problem\n" if $problem;
socket(my $socket, $address->{family}, SOCK_DGRAM, 0) or die "socket: $!\n";

# ---- the agent ----

my ($cookie) = persist([1, 5, 5], \&ask_for_offer, \&take_offer) or fail("no OFFER");
say "offered";

my $nonce = random(8);
my $register = array(bin($cookie), bin(array(int_(0))));    # a Wish: any lease
persist(\@HANDSHAKE_PAUSES, sub { put($peer, REGISTER, $nonce, 0, $register) },
    \&take_grant) or fail("no GRANT");
say "granted $lease";

my %introduced;
persist(\@HANDSHAKE_PAUSES, sub { $introduced{introduce()} = 1 },
    sub ($packet) { my $acked = take_word($packet); $acked && $introduced{$acked} })
    or fail("no ACK of CLASSES");
say "leased";

tell(SIGNALS, signals(1));
say "signalled";

my $end = now() + $seconds;
my $repeat = now() + STATES_EVERY;
until ($stop || now() >= $end) {
    my $packet = get(min($end, $repeat, $ask, $heard + $lease));
    take_word($packet) if $packet;
    fail("no word for a whole lease") if now() >= $heard + $lease;
    if (now() >= $ask) {
        tell(RENEW, array(int_(0)));
        my $pause = shift @ask_pauses;
        $ask = now() + ($pause ? $pause * (0.5 + rand) : 2.5);
    }
    if (now() >= $repeat) {
        tell(SIGNALS, signals(0));
        $repeat += STATES_EVERY;
    }
}
tell(BYE, array());
say "bye";
exit 0;

# ---- its words ----

sub ask_for_offer() {
    # The 24 bytes make room for the OFFER, which must not be longer than this.
    my $padding = "\0" x 24;
    put($address->{addr}, REQUEST, NONE, 0, array(array(str($class)), array(), bin($padding)));
}

sub take_offer($packet) {
    return unless $packet->{type} == OFFER;
    return unless $packet->{session} eq NONE && $packet->{sequence} == 0;
    my ($cookie, $classes) = fields($packet->{body}, "cookie", "classes") or return;
    return unless grep { $_->[1] eq $class } @$classes;
    ($server, $peer) = @$packet{qw(sender from)};
    return $cookie;
}

sub take_grant($packet) {
    return unless $packet->{type} == GRANT && $packet->{sequence} == 0;
    return unless $packet->{from} eq $peer && $packet->{sender} eq $server;
    my ($echo, $hello) = fields($packet->{body}, "id", "hello") or return;
    my ($seconds, $id, $from) = fields($hello, "uint", "id", "id") or return;
    return unless $echo eq $nonce && $id eq $packet->{session} && $from eq $server;
    return unless acceptable($seconds);
    ($session, $lease) = ($id, $seconds);
    return 1;
}

sub acceptable($seconds) { return $seconds >= 10 && $seconds <= 300 }

sub introduce() {
    my $labels = map_(str("language"), str("Perl"));
    return tell(CLASSES, array(str($hostname), array(str($class)), $labels));
}

sub signals($with_event) {
    my @names = map { str($_) } "perl.event", "perl.state", "system";
    my ($tier, $count, $pan, $gain, $age_ms) = (ALERT, 1, -30, -60, 0);
    my @events = array(map { int_($_) } 0, $tier, 2, $count, $pan, $gain, $age_ms);
    my @states = array(map { int_($_) } 1, 5000, $pan, $gain);
    return array(array(@names), array($with_event ? @events : ()), array(@states),
        array(), int_(STATES_EVERY));
}

# A word of the session from the server; the number that it acknowledges, if it is an ACK.
sub take_word($packet) {
    my ($type, $sequence) = @$packet{qw(type sequence)};
    return unless $packet->{from} eq $peer && $packet->{sender} eq $server;
    return unless $packet->{session} eq $session;
    return if $sequence == 0 || $sequence <= $newest - 1024 || $taken{$sequence};
    my %takes = (RENEW, ["uint=0"], ACK, ["uint"], BYE, []);
    my ($fields) = $takes{$type} or return;
    my ($value) = eval { fields_or_die($packet->{body}, @$fields) };
    return if $@;
    $taken{$sequence} = 1;
    if ($sequence > $newest) {
        $newest = $sequence;
        delete @taken{grep { $_ <= $newest - 1024 } keys %taken};
    }
    if ($type == BYE) {
        undef $session;
        fail("the server said BYE");
    }
    if ($type == RENEW) {
        $lease = $value if acceptable($value);    # 0 leaves it as it is
        tell(ACK, array(int_($sequence)));
        say "renewed";
    }
    $heard = now();
    ($ask, @ask_pauses) = ($heard + $lease * 3 / 4, 0.5, 1, 2);
    return $type == ACK ? $value : undef;
}

sub fail($why) {
    tell(BYE, array()) if $session;
    say STDERR "agent.pl: $why", $hint && " ($hint)";
    exit 1;
}

# ---- datagrams ----

# Say it, and again after each pause, until the answer is taken; nothing if it never is.
sub persist($pauses, $speak, $take) {
    for my $pause (@$pauses) {
        $speak->();
        my $until = now() + $pause;
        while (my $packet = get($until)) {
            my $answer = $take->($packet);
            return $answer if $answer;
        }
    }
    return;
}

sub tell($type, $body) {
    put($peer, $type, $session, ++$said, $body);
    return $said;
}

sub put($to, $type, $session, $sequence, $body) {
    my $header = pack("C C n N a8 a8 N", 3, $type, 0, 0, $me, $session, $sequence);
    # What cannot be sent is as lost as what the network loses.
    send($socket, $header . $body, 0, $to) or $hint = "send: $!";
}

# The next datagram that could be for us, or nothing at that time.
sub get($until) {
    while (!$stop || $until = 0) {
        my $left = $until - now();
        return if $left <= 0;
        vec(my $readable = "", fileno($socket), 1) = 1;
        next unless select($readable, undef, undef, $left) > 0;
        my $from = recv($socket, my $data, 65536, 0);
        next if !defined $from || length $data < 28;
        my %packet = (from => $from, body => substr($data, 28));
        (my ($version, $flags, $key), @packet{qw(type sender session sequence)}) =
            (unpack("C C n N a8 a8 N", $data))[0, 2, 3, 1, 4, 5, 6];
        next if $version != 3 || $flags || $key;
        next if length $data > ($LIMIT{$packet{type}} // 0);
        return \%packet if $packet{type} != EXCEPTION;
        my ($code) = fields($packet{body}, "uint", "versions=");
        $hint = "the server says $CODES[$code]" if $code && $CODES[$code];
    }
    return;
}

sub random($count) {
    open(my $file, "<:raw", "/dev/urandom") or die "/dev/urandom: $!\n";
    sysread($file, my $bytes, $count) == $count or die "/dev/urandom is short\n";
    return $bytes;
}

# Seconds, in hundredths, of a clock that nobody sets and that goes on in suspend
# (perl-base has no Time::HiRes).
sub now() {
    open(my $file, "<", "/proc/uptime") or die "/proc/uptime: $!\n";
    return (split " ", <$file>)[0];
}

