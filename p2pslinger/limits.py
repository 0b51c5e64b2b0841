"""Every bound, with its unit and its reason.

An unbounded field is an attack, and a number without a reason is never changed; so
each number that more than one file must agree on, or that a stranger could push
against, has its name here.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# --- the protocol -----------------------------------------------------------------

#: Version of everything peers say to each other. Raised when an older peer would
#: misunderstand; the hello refuses another one and says who must update.
PROTOCOL = 1

#: First port a peer tries, TCP and UDP: the one of the kademlia package's examples.
PORT = 8468

#: Ports tried after the first when it is taken and was not asked for by name.
PORT_TRIES = 64

# --- frames and payloads ----------------------------------------------------------

#: Largest frame on a connection, bytes. A frame holds up to a few dozen inline
#: payloads; anything big travels as a body in pieces.
FRAME = 4 * MIB

#: Largest frame before the hello, bytes: a stranger who got this far is still nobody.
HELLO_FRAME = 16 * KIB

#: Largest payload inside a message, bytes; above it, it is a blob (design.md).
INLINE = 64 * KIB

#: One piece of a streamed body, bytes: small enough that other frames get their turn.
PIECE = 256 * KIB

#: Bytes of one body that may be on their way before the reader must ask for more.
BODY_WINDOW = 2 * MIB

#: Largest blob, bytes: one argument or one range of results. Bounded by what a peer
#: may be asked to spill to disk for somebody else.
BLOB = 2048 * MIB

#: Requests that one end may have open on one connection: parked wants of every slot
#: of a large machine, and a margin.
OPEN_REQUESTS = 4096

#: Inline payload bytes gathered into one answer before the rest waits for the next.
ANSWER = 1 * MIB

#: Shards, grants, results or notices in one message.
BATCH = 1024

#: Ranges under one signature of a volunteer (design.md, keeper budget).
SIGNED_RANGES = 64

# --- shards -----------------------------------------------------------------------

#: Tasks in one shard.
SHARD_TASKS = 8192

#: Shared values that the calls in one shard may refer to, and as many again that their
#: function does: each has to be looked at before the shard can be computed.
SHARED = 16

#: Tasks in one job: a 64-bit index would allow more, memory for results would not.
JOB_TASKS = 1 << 40

#: Characters of a job's, function's or peer's display name.
NAME = 200

# --- datagrams and the directory ---------------------------------------------------

#: Largest datagram payload, bytes: fits an IPv6 minimum MTU of 1,280 less headers, so
#: nothing is fragmented (design.md).
DATAGRAM = 1200

#: Largest record in the DHT, bytes.
RECORD = 1024

#: Seconds that a datagram's wall time may be off the receiver's.
CLOCK_SLACK = 120.0

#: Addresses in a peer card.
ADDRESSES = 4

#: Seconds a peer card lives, and after which its owner renews it (half of it).
CARD_LIFE = 3600.0

# --- work -------------------------------------------------------------------------

#: Tries of a task that kills its process before it fails.
ATTEMPTS = 3

#: Peers by which every task of a job can be computed: more cost more than they tell.
REPLICATE = 5

#: Volunteers whose results of one job do not count: a submitter's bans, and who was
#: found to lie. Every keeper is told all of them whenever one comes to them.
EXCLUDED = 64

#: Keepers of a job, its submitter's peer included: what one dead machine in a household
#: or laboratory takes with it is covered by three; eight are beyond any need.
KEEPERS = 8

#: Seconds that one task of another member's may take, whatever its job says: a task
#: that never ends must not hold a slot for ever.
TASK_SECONDS = 86_400.0

#: Seconds that a job is looked for in the grid by its id, at most.
FIND_JOB = 15.0

#: Ranges that one acceptance can speak of.
ACCEPTED_RANGES = 4096

#: Seconds between two heartbeats of a volunteer that holds grants.
BEAT = 1.25

#: Seconds a grant lives without a heartbeat: three missed ones and a margin, so that
#: a silent volunteer's tasks are granted again within the budget of 5 s.
LEASE = 4.25

#: Seconds of work in one range, at most, and after which a slot reports what it has.
RANGE_SECONDS = 1.0

#: Seconds of the first range of a function whose task time nobody knows yet.
FIRST_SLICE = 0.05

#: Ranges a slot may hold: the one that runs and one that waits behind it.
PLACES = 2

#: Keepers at which a volunteer parks requests at once.
PARKED_AT = 8

#: Packages that a job may require, and characters of one requirement: its notice, which
#: is a record, holds all of them.
REQUIRED = 12
REQUIREMENT = 50

#: Bytes of memory that a job may need of a slot: less does not hold Python, and the
#: packages that people use; more has no machine.
LEAST_MEMORY, MOST_MEMORY = 1 << 26, 1 << 50

#: Requirements of open jobs that a volunteer answers, for each of its interpreters.
OFFERED = 64

#: Interpreters that a peer's slots can be of: one of each minor version in use.
PYTHONS = 8

#: Bytes of captured output kept of one range: its end.
OUTPUT = 64 * KIB

#: Characters of a failure's message, traceback and shortened arguments.
MESSAGE_TEXT = 4000
TRACEBACK_TEXT = 20000

#: Bytes of new output that a running range shows at once, and ranges that one volunteer
#: shows to one keeper: with every heartbeat, so at most 0.2 MB/s of a machine with 128
#: busy slots.
GLIMPSE = 2 * KIB
GLIMPSES = 128

# --- gossip -----------------------------------------------------------------------

#: Seconds that a job is kept after it was submitted, unless it says otherwise: 7 days.
KEEP = 7 * 86_400.0

#: Seconds that a notice of an open job lives in gossip: the jobs of a peer that has
#: vanished are forgotten. It is renewed in time, so that a lost message costs nothing.
NOTICE_LIFE = 600.0
NOTICE_EVERY = 200.0

#: Seconds between two exchanges of digests of open notices with a neighbour.
DIGEST_EVERY = 30.0

#: Connections to neighbours that a peer looks for, and those that it accepts. With
#: five each a random graph of 1,000 peers has a diameter of five or six hops.
LINKS = 5
LINKS_ACCEPTED = 256

#: Open notices that a peer remembers, all submitters together.
NOTICES = 10_000

#: Seconds of wall or processor time in one record, thirty thousand years: more than all
#: of a job, and what adds up can still be written down.
SECONDS = 1e12

# --- values of strangers ------------------------------------------------------------

#: Containers inside each other in a value that nobody vouches for: what walks through a
#: value (repr, json, ==) gives up at about a thousand.
VALUE_DEPTH = 500

#: Containers in a value that nobody vouches for: an empty one is sent as a byte and
#: takes up to 200 in memory.
VALUE_CONTAINERS = 10_000_000

#: A value that nobody vouches for may refer to a part of it many times. Written out (as
#: JSON, say) it is this much: bytes for each of its own, and bytes for all of them.
EXPANSION = 100
EXPANSION_FREE = 16 * MIB

#: Keys of one hash in a set or dict: honest ones hardly ever share any, and a thousand
#: make a million comparisons.
SAME_HASH = 64

#: Digits of a fraction's or decimal's number: reducing a fraction takes their square.
DIGITS = 10_000
