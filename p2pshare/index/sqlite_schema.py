"""SQLite's migrations: how each version of the schema is made from the one before. One that is out never changes."""

from __future__ import annotations

# A statement of its own each. All of a version run in one transaction, or none.
_FIRST = (
    "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at REAL NOT NULL)",
    "CREATE TABLE content (id INTEGER PRIMARY KEY, created_at REAL NOT NULL)",
    """
    CREATE TABLE content_key (
        scheme TEXT NOT NULL,
        value TEXT NOT NULL,
        content_id INTEGER NOT NULL REFERENCES content ON DELETE CASCADE,
        PRIMARY KEY (scheme, value)
    ) WITHOUT ROWID""",
    "CREATE INDEX content_key_by_content ON content_key (content_id)",
    """
    CREATE TABLE torrent (
        id INTEGER PRIMARY KEY,
        content_id INTEGER NOT NULL REFERENCES content,
        info_hash TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        piece_length INTEGER NOT NULL,
        num_pieces INTEGER NOT NULL,
        created_at REAL NOT NULL,
        paths TEXT NOT NULL,
        pieces BLOB NOT NULL,
        metainfo BLOB
    )""",
    "CREATE INDEX torrent_by_content ON torrent (content_id)",
    """
    CREATE TABLE node (
        id INTEGER PRIMARY KEY,
        public_id TEXT NOT NULL UNIQUE,
        wire_peer_id TEXT,
        address TEXT NOT NULL,
        port INTEGER NOT NULL,
        region TEXT NOT NULL,
        shared_files INTEGER NOT NULL,
        reputation INTEGER NOT NULL,
        registered_at REAL NOT NULL,
        last_seen REAL NOT NULL,
        online INTEGER NOT NULL
    )""",
    "CREATE INDEX node_by_address ON node (address, port)",
    "CREATE INDEX node_by_wire_peer_id ON node (wire_peer_id) WHERE wire_peer_id IS NOT NULL",
    "CREATE INDEX node_online ON node (last_seen) WHERE online",
    # AUTOINCREMENT: the search tables must never meet a second share with the id of one that is gone.
    """
    CREATE TABLE share (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        public_id TEXT NOT NULL UNIQUE,
        content_id INTEGER NOT NULL REFERENCES content,
        owner TEXT NOT NULL,
        filename TEXT NOT NULL,
        sort_name TEXT NOT NULL,
        size INTEGER NOT NULL,
        hash TEXT NOT NULL,
        peer_address TEXT NOT NULL,
        category TEXT NOT NULL,
        tags TEXT NOT NULL,
        uploaded_at REAL NOT NULL,
        downloads INTEGER NOT NULL,
        rating REAL NOT NULL,
        votes INTEGER NOT NULL,
        UNIQUE (content_id, owner)
    )""",
    "CREATE INDEX share_by_owner ON share (owner)",
    "CREATE INDEX share_by_category ON share (category)",
    "CREATE INDEX share_by_sort_name ON share (sort_name)",
    "CREATE INDEX share_by_size ON share (size)",
    "CREATE INDEX share_by_uploaded_at ON share (uploaded_at)",
    "CREATE INDEX share_by_downloads ON share (downloads)",
    "CREATE INDEX share_by_content ON share (content_id, downloads)",
    "CREATE INDEX share_by_rating ON share (rating)",
    """
    CREATE TABLE share_name (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        share_id INTEGER NOT NULL REFERENCES share ON DELETE CASCADE,
        name TEXT NOT NULL,
        UNIQUE (share_id, name)
    )""",
    "CREATE INDEX share_name_by_name ON share_name (name)",
    """
    CREATE TABLE share_tag (
        tag TEXT NOT NULL,
        share_id INTEGER NOT NULL REFERENCES share ON DELETE CASCADE,
        PRIMARY KEY (tag, share_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX share_tag_by_share ON share_tag (share_id)",
    """
    CREATE TABLE vote (
        share_id INTEGER NOT NULL REFERENCES share ON DELETE CASCADE,
        voter TEXT NOT NULL,
        rating REAL NOT NULL,
        PRIMARY KEY (share_id, voter)
    ) WITHOUT ROWID""",
    "CREATE TABLE share_text (share_id INTEGER PRIMARY KEY REFERENCES share, text TEXT NOT NULL)",
    # Both search tables keep no text of their own. The text is folded before it gets here (words.py).
    "CREATE VIRTUAL TABLE share_trigrams USING fts5 (text, content='', tokenize='trigram case_sensitive 1')",
    """
    CREATE VIRTUAL TABLE share_grams
        USING fts5 (text, content='', tokenize='unicode61', detail='none', columnsize=0)""",
    "CREATE TABLE swarm (id INTEGER PRIMARY KEY, info_hash TEXT NOT NULL UNIQUE, completed INTEGER NOT NULL)",
    """
    CREATE TABLE membership (
        id INTEGER PRIMARY KEY,
        swarm_id INTEGER NOT NULL REFERENCES swarm,
        peer_id TEXT NOT NULL,
        ip TEXT NOT NULL,
        port INTEGER NOT NULL,
        uploaded INTEGER NOT NULL,
        downloaded INTEGER NOT NULL,
        bytes_left INTEGER,
        completed INTEGER NOT NULL,
        announced_at REAL NOT NULL,
        UNIQUE (swarm_id, peer_id)
    )""",
    """
    CREATE TABLE "user" (
        id INTEGER PRIMARY KEY,
        username TEXT NOT NULL UNIQUE,
        peer_id TEXT NOT NULL UNIQUE,
        created_at REAL NOT NULL
    )""",
    # The same under the names and columns that a REST tracker's tables have. Active: announced in the last two hours.
    """
    CREATE VIEW torrents AS
    SELECT torrent.id AS id, info_hash, name, size AS file_size, piece_length, num_pieces, pieces AS pieces_hash,
        strftime('%Y-%m-%d %H:%M:%f', created_at, 'unixepoch') AS created_at,
        (SELECT count(*) FROM membership WHERE swarm_id = swarm.id AND bytes_left = 0
            AND announced_at > strftime('%s', 'now') - 7200) AS seeders,
        (SELECT count(*) FROM membership WHERE swarm_id = swarm.id AND bytes_left IS NOT 0
            AND announced_at > strftime('%s', 'now') - 7200) AS leechers,
        coalesce(swarm.completed, 0) AS completed
    FROM torrent LEFT JOIN swarm USING (info_hash)""",
    """
    CREATE VIEW peers AS
    SELECT membership.id AS id, membership.peer_id AS peer_id, membership.ip AS ip_address, membership.port AS port,
        torrent.id AS torrent_id, membership.uploaded AS uploaded, membership.downloaded AS downloaded,
        membership.bytes_left AS "left", bytes_left IS 0 AS is_seeder,
        strftime('%Y-%m-%d %H:%M:%f', membership.announced_at, 'unixepoch') AS last_announce
    FROM membership JOIN swarm ON swarm.id = membership.swarm_id JOIN torrent USING (info_hash)""",
    """
    CREATE VIEW users AS
    SELECT id, username, peer_id, strftime('%Y-%m-%d %H:%M:%f', created_at, 'unixepoch') AS created_at
    FROM "user"
    """,
)

# Whether an owner has a name already is asked with each file, by owners of many and for names that many have.
_OWNERS_OF_NAMES = (
    "ALTER TABLE share_name ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
    "UPDATE share_name SET owner = (SELECT owner FROM share WHERE share.id = share_name.share_id)",
    "DROP INDEX share_name_by_name",
    "CREATE INDEX share_name_by_owner ON share_name (owner, name)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _OWNERS_OF_NAMES)  # the first makes version 1
