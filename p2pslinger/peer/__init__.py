"""One peer: where everything below is put together.

Here: its composition (`peer`), its life, its connections, and the keeper, which hands
out work. In packages of their own: `computing`, the volunteer that takes work;
`programs`, the door for this machine's programs and their throw-away jobs; `durable`,
jobs that outlive both; `blobs`, big data; `presence`, who and where this peer is.
"""
