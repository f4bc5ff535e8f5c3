"""Every bound of Logferry in one place, each with its reason. Units stand last in the names."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# Names -------------------------------------------------------------------------------------------------------
NAME_BYTES_MAX = 255
"""One component of a path: what ext4, XFS, NTFS and APFS allow."""
PATH_BYTES_MAX = 4000
"""A whole archive path: below Linux's PATH_MAX of 4,096 with room for the data directory."""
SYNC_EACH_MAX = 8
"""Up to so many files are synced one by one, which waits for nobody else's bytes; more by one sync of the disk."""
PATH_DEPTH_MAX = 128
"""Folders in a path; real trees stay under 20."""
FILE_BYTES_MAX = 2**63 - 1
"""What a signed 64-bit offset can address: no file is larger, whatever a server claims."""
ROW_ID_MAX = 2**63 - 1
"""What both databases can give as the number of a row."""
AGENT_ID_CHARS_MAX = 63
"""Like a DNS label, so an agent id can be a host name."""

# FTP control connection ------------------------------------------------------------------------------------------
FTP_LINE_BYTES_MAX = PATH_BYTES_MAX + 96
"""A command line: the longest path and a verb. Longer lines get 500 and are skipped to their end."""
FTP_LINE_DISCARD_BYTES_MAX = 64 * KIB
"""How much of an over-long line is skipped before the connection is closed."""
FTP_PIPELINE_BYTES_MAX = 64 * KIB
"""Commands waiting behind the one being served; beyond it we stop reading (TCP pushes back)."""
FTP_REPLY_LINES_MAX = 10_000
"""Lines of one multi-line reply a client accepts (STAT on a big folder)."""
FTP_BACKLOG = 1024
"""Connections the kernel keeps for us while we are busy: a fleet that reconnects at once."""
FTP_SESSIONS_MAX = 12_000
FTP_SESSIONS_PER_ADDRESS_MAX = 200
FTP_PROCESSES_MAX = 64
"""Processes of one server; more than cores gain nothing."""
FTP_RESTARTS_MAX = 10
FTP_RESTARTS_WINDOW_S = 60.0
"""A process of the server that dies so often in this time is given up."""
FTP_RESTART_S_MAX = 5.0
"""Longest pause before a process is started again."""
FTP_START_S_MAX = 30.0
"""How long the processes of a server may take to listen."""
FTP_CALL_S_MAX = 5.0
"""How long the parent waits for an answer of one of its processes; it takes milliseconds."""
FTP_EVENTS_TO_PARENT_MAX = 10_000
"""Events a process keeps for a parent that is slow to take them; then its sessions wait."""
FTP_EVENTS_BATCH_MAX = 256
FTP_THREADS_MAX = 128
"""Sessions served at the same moment; others wait in line, idle ones cost no thread."""
FTP_IDLE_S_MAX = 300.0
FTP_LOGIN_S_MAX = 60.0
"""Time to log in after connecting, TLS handshake included."""
FTP_LINE_S_MAX = 30.0
"""Time from the first byte of a command to its end (slow-command attack)."""
FTP_REPLY_S_MAX = 15.0
"""A client that does not take a reply for this long is cut."""
FTP_WATCH_S = 0.25
"""During a transfer: how often the control connection is looked at while the data connection rests."""
FTP_DATA_CONNECT_S_MAX = 30.0
FTP_TURN_AWAY_S_MAX = 2.0
FTP_TURN_AWAY_BYTES_MAX = 4 * MIB
"""For how long and how far a refused upload is read and thrown away, so that its client gets to see the reason."""
FTP_DATA_STALL_S_MAX = 60.0
"""A data connection that moves no byte for this long is cut."""
FTP_LINGER_S = 0.5
"""How long a thread stays with a session that went quiet before it is parked."""
FTP_TURN_S_MAX = 0.25
"""How long a session that never pauses keeps its thread before the others get their turn."""
FTP_DATA_BLOCK_BYTES = 256 * KIB
FTP_TLS_BLOCK_BYTES = 64 * KIB
"""Bytes handed to TLS, or read from a file without a descriptor, at once."""
FTP_SPLICE_FROM_BYTES = 2 * MIB
"""An upload that has brought so much is moved inside the kernel from then on; a small file is not worth the pipe."""
FTP_SPLICE_PIPE_BYTES = MIB
"""The pipe between socket and file: the most that a program without privileges may ask for."""
FTP_SPLICE_CALL_BYTES_MIN = 32 * KIB
"""Where calls bring less on average the network is the brake, and whole blocks by copying cost fewer calls."""
FTP_WRITEBACK_BYTES = 8 * MIB
"""An upload is handed to the disk in such pieces while it arrives, so that its 226 need not wait for all of it."""
FTP_SENDFILE_BYTES = 4 * MIB
"""One sendfile call: short enough that an ABOR is noticed soon."""
FTP_CLIENT_CHARS_MAX = 200
"""What a client may call itself (CLNT)."""
FTP_LOGIN_FAILURES_MAX = 3
"""Wrong passwords on one connection before it is closed."""
FTP_LOGIN_DELAY_S = 0.5
"""Pause before a 530, so guessing is slow."""
FTP_LOGIN_DELAY_S_MAX = 5.0
"""That pause for addresses with a bad record: longer than this, clients give up before they see the reply."""
FTP_DEFENDER_THRESHOLD = 15.0
"""Points that get an address banned: 15 wrong passwords or 8 unknown names. SFTPGo has the same."""
FTP_DEFENDER_WINDOW_S = 30 * 60.0
"""In this time as many points are forgotten as would get it banned."""
FTP_DEFENDER_TRUST_FACTOR = 4.0
"""How much more is borne from an address from which somebody has logged in well."""
FTP_DEFENDER_TRUST_S = 24 * 3600.0
FTP_DEFENDER_ADDRESSES_MAX = 16_384
"""Addresses remembered: under 1 MB, and an attacker of 1,000 addresses fills a sixteenth of it."""
FTP_BAN_S = 30 * 60.0
FTP_BAN_GROWTH = 1.5
"""Each further ban is longer by this factor."""
FTP_BAN_S_MAX = 24 * 3600.0
"""Addresses get other owners: no ban is for ever."""
FTP_NONSENSE_MAX = 50
"""Commands that no FTP client sends, before a connection is ended: somebody speaks another protocol at us."""
FTP_CONFLICTS_FREE = 20
"""Uploads to one file that may differ from what is stored before the replies are slowed, and per 20 minutes after."""
FTP_CONFLICTS_MAX = 40
"""From here on each further one ends the session: a byte costs some 100 guesses, so no word is ever read this way."""
FTP_CONFLICTS_OF_USER_FREE = 10_000
"""The same for all files of a user: an agent that lost its registry may find each of its files replaced. Beyond it
replies are slowed, and sessions do not end."""
FTP_CONFLICTS_PER_S = 1 / 60
FTP_CONFLICT_DELAY_S = 2.0
FTP_BUCKETS_MAX = 16_384
"""Token buckets in use at the same moment: two per user with limits who transfers just now."""
FTP_THROTTLED_BLOCK_BYTES_MIN = 1 * KIB
FTP_LIMIT_LOOK_S = 0.5
"""How often a running transfer looks whether its limits have changed."""
FTP_TLS_OWNERS_MAX = 20_000
"""TLS sessions whose user is remembered, for clients that share tickets among connections."""
FTP_TLS_OWNER_S_MAX = 3.0
"""How long a data connection waits for the login on the control connection whose ticket it uses."""
FTP_PASSWORD_CHECKS_MAX = 4
"""Password checks at the same moment in one process: each takes up to 64 MiB."""
FTP_LIST_ENTRIES_MAX = 1_000_000
"""Entries one listing looks at; one that has more ends with 451."""
FTP_LIST_TIDY_ENTRIES_MAX = 10_000
"""Larger folders are listed as they come, not by name: sorting would hold them in memory and delay the first line."""
FTP_LIST_SORTED_ENTRIES_MAX = 100_000
"""Entries held to be sorted when a client asks for an order (-t, -S, -r): tens of MiB."""
FTP_LIST_RECURSIVE_ENTRIES_MAX = 100_000
FTP_LIST_DEPTH_MAX = 32
"""What one LIST -R may walk; beyond it the listing ends with 451."""
FTP_HASH_CACHE_MAX = 10_000
"""Digests a server remembers; one entry is some 300 bytes."""
FTP_HASH_FRESH_S = 2.0
"""A file changed so lately may change again without its times telling: its digest is not remembered."""
FTP_EARLY_TLS_S_MAX = 5.0
"""How long a thread stays after EPSV for a TLS data connection whose handshake comes before the command."""
FTP_ACTIVE_PORT_MIN = 1024
"""Active mode never connects to a lower port, where services of the system listen (RFC 2577)."""
FTP_LISTING_LINE_BYTES_MAX = 16 * KIB
"""One line of a LIST or MLSD listing: the longest name, an owner, a link's target."""
FTP_REPLY_LINE_BYTES_MAX = 16 * KIB
"""One line of a reply a client accepts: a quoted path with every quote doubled, and text."""
FTP_REPLY_BYTES_MAX = 4 * MIB
"""All lines of one reply a client accepts."""
FTP_COMMANDS_AHEAD_MAX = 128
"""Commands a client sends before their replies have come."""
FTP_SMALL_DIGEST_BYTES_MAX = 256 * KIB
"""Up to here the digest of an upload comes with its reply: hashed where the bytes pass anyway, not read again."""
FTP_FILES_AHEAD_MAX = 8
"""Files whose commands a pipelining client sends ahead: fills every round trip; more gains nothing."""
FTP_AHEAD_BYTES_MAX = 32 * KIB
"""Command bytes sent ahead: below what the server queues, so neither side ever waits for the other."""
FTP_CONFIRM_BYTES_S_MIN = 10 * MIB
"""The slowest disk a client waits for: the reply to an upload may take its length over this, and the time-out."""
FTP_TLS_SESSION_S_MAX = 3600.0
"""Age at which a client renews its control connection: servers forget TLS sessions after two hours, some sooner."""
FTP_SETTLE_S = 2.0
"""How long a client waits for the reply to a transfer it gave up itself, before it gives up the connection too."""
FTP_ATTEMPTS_MAX = 5
"""Tries of one upload or download before a client gives up."""
FTP_CONNECTIONS_DEFAULT = 4
"""Connections for many files: hides most of the round trips; servers commonly admit five or more of one user."""
FTP_SMALL_BYTES_MAX = 1 * MIB
"""Files up to this size are read into memory and go together; for larger ones the round trips do not matter."""
FTP_BATCH_FILES_MAX = 2_000
FTP_BATCH_BYTES_MAX = 32 * MIB
"""Small files that go together: held in memory until confirmed, sent again after a break."""
FTP_BUNDLE_FILES_MIN = 8
"""Fewer files are not worth a bundle."""
FTP_MIRROR_ENTRIES_MAX = 2_000_000
"""Files and folders of a tree that is mirrored: held in memory, some 500 bytes each."""
FTP_ABORT_POLL_S = 0.25
"""How often a sleeping client looks whether it shall stop."""
FTP_PASSIVE_PORT_MIN = 1024
FTP_FOLDER_RULES_MAX = 1_000
"""Folder rules of one user: each is tried on each command."""
FTP_USERS_FILE_BYTES_MAX = 16 * MIB
"""A JSON file of users: 100,000 users take about this much; more is a mistake."""
FTP_USERS_FILE_LOOK_S = 0.25
"""How often a file of users is looked at for changes: one ``stat`` costs less than a command, but not nothing."""
FTP_USERS_FILE_YOUNG_S = 2.0
"""A file this young may change again without its times showing it (they step by milliseconds to seconds)."""
FTP_PASSWORD_CHARS_SHORT = 8
"""A password below this is warned about: it is guessed in hours."""
FTP_RECHECK_S = 2.0
"""How often a transfer under way asks whether its user may go on: a revoked one ends within seconds."""
FTP_EVENTS_WAITING_MAX = 10_000
"""Events kept for a listener that lags behind (about 3 MB); those beyond are counted, not kept."""
FTP_SWEEP_S = 24 * 3600.0
"""How often a folder is looked through for uploads nobody came back for; they wait for days anyway."""
FTP_SWEEP_FOLDERS_MAX = 10_000
"""Folders of which that is remembered (about 2 MB); one that is forgotten is looked through again."""
FTP_SWEEP_ENTRIES_MAX = 100_000
"""Names looked at in one folder: a tenth of a second, for whoever comes there first."""
FTP_QUOTA_COUNT_S_MAX = 10.0
"""How long an upload waits for the first count of its user's home; a slower one is told 450, try again."""
FTP_QUOTA_RECOUNT_S = 3600.0
"""Age at which a home is counted anew, in the background: others may write into it, too."""
FTP_QUOTA_RECOUNT_SOON_S = 30.0
"""The same while the count is in doubt: files changed while it was made, or the quota has just refused somebody."""
FTP_QUOTA_HOMES_MAX = 10_000
"""Homes whose use is remembered; the one asked for longest ago is forgotten, and counted again when needed."""

# FTP bundles ---------------------------------------------------------------------------------------------------------
TAR_EXTENSION_BYTES_MAX = 1 * MIB
"""A pax or GNU extension header: a path of 4,000 bytes and extended attributes of 64 KiB fit many times."""
BUNDLE_WINDOW_BYTES_MAX = 8 * MIB
"""Memory a zstd stream may ask of us; what RFC 8878 3.1.1.1.2 recommends, and all levels up to 19 keep to it."""
BUNDLE_PIECE_BYTES = 256 * KIB
"""Decompressed at a time, whatever the stream expands to."""
BUNDLE_BYTES_MAX = 256 * GIB
"""All bytes of one bundle, unpacked: more than any sensible one, less than a disk."""
BUNDLE_MEMBERS_MAX = 200_000
"""Members of one bundle: their names are remembered, about 150 bytes each, to refuse one that comes twice."""
BUNDLE_RATIO_MAX = 1_000
"""How many times larger a bundle may be unpacked: logs reach 10 to 100, gzip at most 1,032, a zstd bomb 32,000."""
BUNDLE_RATIO_FREE_BYTES = 256 * MIB
"""So much may come out before the ratio counts: many equal small files, or a file of zeros, are no bomb."""
BUNDLE_MEMBER_BYTES_MAX = 1 * MIB
"""A larger member is written while it arrives; smaller ones are collected and published together."""
BUNDLE_BATCH_BYTES = 8 * MIB
BUNDLE_BATCH_MEMBERS = 512
"""Members published together: they share their syncs. More gains nothing and costs memory in each session."""
BUNDLE_REFUSALS_SHOWN_MAX = 1_000
BUNDLE_REPORT_BYTES_MAX = 1 * MIB
"""Refused members that the reply names, and its bytes: below what clients accept of one reply."""

# Compressed files ----------------------------------------------------------------------------------------------------
UNPACK_PIECE_BYTES = 256 * KIB
"""Unpacked at a time, whatever the stream expands to."""
UNPACK_INPUT_BYTES = 64 * KIB
UNPACK_STEP_BYTES = 512
"""Input that zstandard gets at a time: it may expand to 22 MiB, all of which is given at once."""
UNPACK_MEMORY_BYTES_MAX = 80 * MIB
"""Memory that xz may ask of us: ``xz -9`` needs 65 MiB."""
UNPACK_WINDOW_BYTES_MAX = 8 * MIB
"""The same for zstd; what RFC 8878 3.1.1.1.2 recommends, and all levels up to 19 keep to it."""
TAKEN_MANIFEST_BYTES_FREE = 8 * MIB
TAKEN_MANIFEST_RATIO_MAX = 16
"""The manifest of a zip or tar that is read back is at most so long, or so many times as long as the whole: nearly half
of it are digests, which do not compress."""
TAKEN_MEMBERS_FREE = 100_000
TAKEN_MEMBER_BYTES_MIN = 4
"""So many members, or one for so many bytes of the whole: their names are kept until the manifest has come."""
UNPACK_EMPTY_STREAMS_MAX = 10_000
"""Streams without content behind each other: a few end some files, millions only cost time."""
UNPACK_RATIO_MAX = 1_100
"""How many times larger a text may be than its file: gzip reaches 1,032 at most, logs 10 to 100, bombs 32,000."""
UNPACK_RATIO_FREE_BYTES = 64 * MIB
"""So much may come out before the ratio counts."""
TEXT_BYTES_MAX = 4 * GIB
"""The longest text of a compressed file that is unpacked to be searched and viewed: it takes as much disk meanwhile."""
TEXTS_KEPT_BYTES_MAX = 1 * GIB
"""Unpacked texts kept on disk for the next who asks; the longest unused goes first, the newest always stays."""
TEXTS_KEPT_MAX = 64
"""How many of them: each holds a descriptor."""
COPIES_TRIED_MAX = 16
"""Copies that are searched one after the other in place of an original that cannot be read."""
COPIES_QUIET_S = 10.0
"""A compressed file is looked into when nothing was added to it for so long."""
COPIES_LOOK_S = 2.0
"""How often the server asks whether one is due."""
COPIES_BATCH = 100
COPIES_BYTES_PER_S = 96 * MIB
"""How fast the server unpacks and hashes for this: a third of a core, so that uploads and searches do not notice."""
COPIES_AGAIN_S_MIN = 60.0
COPIES_AGAIN_S_MAX = 7 * 86400.0
"""A file that is no copy yet is compared again after this, then after twice that and so on: its original may still be
on its way."""
COPIES_HASHED_MAX = 64
"""Generations of the right size that are hashed to find an original: those nearest first."""

# Taking out --------------------------------------------------------------------------------------------------------
PIECE_BYTES = 256 * KIB
"""What a stream hands to the network at once: small files travel together, and no piece is long in the making."""
SPOOL_BYTES = 1 * MIB
"""What a zip's directory or manifest may have in memory; the rest waits in a file: a million members cost no more."""
ZIP_LEVEL = 5
"""Of deflate: within 3 % of the size of 6 on logs, in two thirds of its time."""
TAR_GZIP_LEVEL = 5
TAR_ZSTD_LEVEL = 3
PICKED_MAX = 10_000
"""Files or folders that one request may pick: each is looked up before the first byte goes out."""
EXPORT_LINE_BYTES_MAX = 1 * MIB
"""A longer line becomes several rows with the same number, so that a line of 1 GiB needs no memory."""
EXPORT_GROUP_BYTES = 16 * MIB
EXPORT_GROUP_ROWS = 128 * 1024
"""Rows, or bytes of them, that are one row group of a Parquet file: what is held in memory, and what readers skip."""

# Archive -----------------------------------------------------------------------------------------------------------
COPY_BYTES = 1 * MIB
"""Block size for reading, comparing and hashing files."""
CATALOG_BUSY_S_MAX = 30.0
"""How long a process waits for another one that writes the catalog; its transactions take milliseconds."""
CATALOG_CACHE_BYTES = 8 * MIB
"""Page cache of one SQLite connection; reading connections are few (one per thread that reads at the moment)."""
CATALOG_CONNECT_S_MAX = 10
"""How long connecting to a PostgreSQL server may take (whole seconds): a wrong address is told soon."""
CATALOG_IDLE_S_MAX = 15
"""A PostgreSQL server that says nothing for so long is asked whether it is there (whole seconds); so are we by it."""
POSTGRESQL_VERSION_MIN = 13
"""The oldest PostgreSQL that holds a catalog: the first with ``gen_random_uuid`` built in."""
CATALOG_BATCH_MAX = 256
"""Changes that share one transaction: more would make the first ones wait for the last."""
CATALOG_LAZY_S = 0.05
"""How long a change that nobody waits for (an agent was heard) may wait for company."""
CATALOG_FOLDERS_KNOWN_MAX = 50_000
"""Folder ids the writer remembers; beyond it starts anew."""
CATALOG_READERS_IDLE_MAX = 16
"""Reading connections kept open between uses."""
NAME_BLOCK_FILES = 8_192
"""Files whose names make a block: half a megabyte of text, read and looked through in about a millisecond."""
NAME_BLOCKS_READ = 256
"""Blocks whose bits (32 KiB each) are read at a time."""
FIND_WALK_ROWS = 1_000
"""Files that finding by name goes through in their order before it asks the blocks of names."""
FIND_WALK_ROWS_MAX = 50_000
"""The same where so many have the name that a page of them should be among these (about 0.1 s)."""
FIND_AGENTS_MAX = 64
"""So many agents that a query names are gone through one by one, if they have no more files than the line above."""
FIND_BLOCK_ROWS = 1_000
"""Files that can be gone through in the time in which one block of names is read and looked through."""
FIND_SAMPLE_BLOCKS = 4
"""Blocks of names from which it is guessed how many have it."""
FIND_PAGE_ROWS_MAX = 16_000
"""Most files fetched at a time for a query that a part of the name does not decide; it begins with a page."""
CATALOG_PAGE_ROWS = 1_000
"""Rows fetched at a time when something walks over all files: no reading transaction lasts long."""
FOLDERS_OPEN_MAX = 512
"""Folders of the live tree kept open, so that publishing a file resolves no path."""
HASH_ARRIVING_BYTES_MAX = 64 * MIB
"""A file is hashed while it arrives up to this size; larger ones when somebody asks, so no upload waits for it."""
STORED_TOGETHER_MAX = 256
"""New files that share one sync and one transaction: more gains little and holds more descriptors (and locks)."""
DISK_CHECK_BYTES = 4 * MIB
"""After so many bytes an upload looks again how much disk is free."""
PARTIAL_S_MAX = 14 * 24 * 3600.0
"""A partial upload nobody continued for this long is thrown away."""
RENAME_BATCH_FILES = 500
"""Files of a renamed folder that move in one transaction."""
DISK_RESERVE_BYTES = 64 * MIB
"""Below this much free disk the server stops confirming, whatever ``min_free`` says."""
QUOTA_FRESH_S = 1.0
"""So long an agent counts as one without a quota before that is looked up again; commits look each time."""
QUOTA_AGENTS_MAX = 10_000
"""Agents of whom that is remembered."""
LINE_BYTES_SHOWN_MAX = 16 * KIB
"""A longer line is cut in views, with a way to fetch the rest."""
ENCODING_SAMPLES_KEPT = 32
"""So many beginnings of files that are no UTF-8, of 64 KiB each, are remembered with their encoding."""
LINE_REST_BYTES = 256 * KIB
"""So much more of a cut line is sent at once where nothing else is asked for."""
FIRST_SCREEN_LINES = 80
"""So many lines are within the page of a log itself: a high screen of them."""
FIRST_SCREEN_CHARS_MAX = 2_000
"""So much of a line is there, until the script shows more of it."""
LINES_PER_REQUEST_MAX = 5_000
LINES_BYTES_PER_REQUEST_MAX = 4 * MIB
LINE_INDEX_STEP_BYTES = 1 * MIB
"""One line count per this many bytes makes line numbers exact and jumps quick."""
LINE_INDEX_NOW_BYTES = 16 * MIB
"""So much is counted at once when somebody asks for lines (milliseconds); the rest in the background."""
LINE_INDEX_NOW_TABLES = 16
"""So many indexes of segments are asked at once then: a millisecond each from a disk, two requests to a bucket."""
LINE_INDEX_WAIT_S = 2.0
"""How long a jump to a line number waits for the counting to get there before it answers with an estimate."""
LINE_INDEX_BLOCKS_MAX = 4_000_000
"""Counts kept in memory over all files (16 bytes each): enough for 4 TB of files looked at lately, 1 TB sealed."""
LINE_WINDOW_BYTES = 256 * KIB
"""Read at once when lines are cut out; a longer line is measured block by block."""
FOLDER_PAGE_ENTRIES = 1_000

# Search ------------------------------------------------------------------------------------------------------------
QUERY_CHARS_MAX = 8_192
QUERY_DEPTH_MAX = 64
QUERY_LEAVES_MAX = 256
SEARCH_S_MAX = 60.0
"""Default deadline of one search."""
SEARCH_HITS_DEFAULT = 1_000
SEARCH_PER_USER_MAX = 4
SEARCH_TURNS_PER_USER = 2
"""Streams of one person that look at anything at the same moment: the hits and the counts of a page, not four pages."""
SEARCH_HITS_MAX = 1_000_000
SEARCH_CONTEXT_LINES_MAX = 50
CONTEXT_BLOCK_LINES_MAX = 1_000
"""Lines of hits whose contexts touch that are put into order before they are printed; then most of them are."""
SEARCH_UNLIMITED = 2**62
"""The limit of a search without one: more lines than any archive has."""
SEARCH_EXPORT_S_MAX = 3600.0
"""Deadline of a search without a limit on hits: it waits for whoever takes them, and that may be a slow line."""
SEARCH_TIME_CHARS_MAX = 64
"""What ``from`` and ``to`` may be: the longest RFC 3339 time has 35."""
SEARCH_JOBS_MAX = 256
"""Searches kept with their hits in one web process, running or ended; the one that ended first goes first."""
SEARCH_JOBS_PER_USER_MAX = 16
SEARCH_JOBS_RUNNING_MAX = 16
"""Jobs that run at once: a thread each."""
SEARCH_JOB_BYTES_MAX = 16 * MIB
"""Hits that one job keeps, as JSON: some 40,000 lines of logs. Whoever wants more streams them."""
SEARCH_JOBS_BYTES_MAX = 256 * MIB
"""The same of all jobs together; ended ones go to make room."""
SEARCH_JOB_KEPT_S = 600.0
"""A job that ended is kept for so long after somebody last asked for it."""
SEARCH_JOB_UNHEARD_S = 300.0
"""A running job that nobody asks about for so long is cancelled."""
SEARCH_JOBS_SWEEP_S = 15.0
SEARCH_PAGE_HITS_MAX = 1_000
SEARCH_STOP_S_MAX = 5.0
"""How long the end of the program waits for running jobs; they look every few milliseconds."""
PROGRESS_S = 0.2
"""How often a running search says how far it is."""
TALLY_SO_FAR_S = 0.8
"""How often a running tally says what it has counted so far."""
SEARCH_ERRORS_LISTED_MAX = 100
SCAN_BLOCK_BYTES = 1 * MIB
"""One step of a scan: large enough to work in bulk, small enough to stop soon. A multiple of the line index's step."""
SCAN_LINE_BYTES_MAX = 16 * MIB
"""A longer line is searched in overlapping windows instead of being held whole."""
SCAN_OVERLAP_BYTES = 64 * KIB
"""Overlap of those windows: longer than any literal; a regular expression may match up to this across a seam."""
SCAN_REGEX_BYTES = 64 * KIB
"""What one call of a regular expression may look at before the deadline is checked, and whether somebody is to go
first: the slowest take some milliseconds for it."""
SCAN_DENSE_HITS = 128
"""From this many hits per block on, any-case search works on a lowered copy: 3 times faster then, slower before."""
SCAN_LINES_BYTES = 64 * KIB
"""Levels and times are told for the lines of so many bytes at once: enough to work in bulk, little where a rare word
leads from line to line."""
LEVEL_REACH_BYTES = 256
"""A line's level stands in its first bytes: what comes later is what it says."""
LEVEL_JSON_REACH_BYTES = 4 * KIB
"""In a line of JSON it may come later: some write their keys in the order of the alphabet."""
LINE_HEAD_BYTES = 8 * KIB
"""What has to be held of a line to tell its level and its time."""
TIME_REACH_BYTES = 64 * KIB
"""A line without a time has that of a line at most so far before it: what a scan has to look back."""
TIME_ORDER_BYTES = 1 * MIB
"""So much from the beginning of a file tells whether its dates have the day or the month first."""
ENTRY_BYTES_MAX = 64 * KIB
"""A line further behind the first line of an entry is not part of it: what a scan has to look back and ahead."""
KEPT_HITS_MAX = 200
"""Lines that a query keeps are looked for so many at once: a screen or two of a viewer."""
KEPT_ENTRY_LINES_MAX = 500
"""Of an entry that is not folded so many lines are shown; the rest stands behind a gap that can be opened."""
KEPT_WINDOW_BYTES = 64 * MIB
"""They are looked for in so much of a file first, then in twice as much each time that was quick: less than …"""
KEPT_WINDOW_S = 0.3
KEPT_WINDOW_BYTES_MAX = 4 * GIB
"""… and never in more at once, as nobody can stop it meanwhile."""
KEPT_SEARCH_S = 5.0
"""What takes longer is asked again of less of the file, …"""
KEPT_WINDOW_BYTES_MIN = 1 * MIB
"""… but not of less than this."""
KEPT_PAGE_S = 1.5
"""An answer says how far it got after so long: whoever reads sees that it goes on."""
ENTRY_BYTES_SHOWN_MAX = 16 * KIB
"""How much of an entry a hit carries: a stack trace of some 150 lines."""
FIELD_LINE_BYTES_MAX = 1 * MIB
"""A longer line is not parsed for its fields."""
FIELD_OBJECTS_TRIED_MAX = 4
"""Braces of a line at which a JSON object is looked for: the first ones may be those of a prefix."""
HIT_BYTES_SHOWN_MAX = 4 * KIB
"""How much of a long line a hit carries, around its first match."""
SNAPSHOT_FACTS_S_MAX = 10.0
"""How late a search may see corrections of single facts of files that are otherwise as they were."""
SNAPSHOT_AT_ONCE_MAX = 1_000
"""Of more generations than this, such facts are read in the background: beside others a search would wait a second."""
SNAPSHOT_REST = 20
"""So many times as long as that takes it is not done again."""
SNAPSHOT_GENERATIONS_MAX = 500_000
"""Generations of which the facts are kept for the next search, however late it comes: some 500 bytes each."""
SNAPSHOT_IDLE_S = 60.0
"""For so long after the last search those of more generations are kept."""
SEARCH_SEGMENTS_KEPT = 128
"""Segments of which a search keeps the index open, and what it found in it, for the next one."""
SEARCH_ANSWERS_BYTES_MAX = 64 * MIB
"""What the indexes said of terms that were asked lately, of all segments together."""
SEARCH_LEVELS_BYTES_MAX = 64 * MIB
"""The levels of lines that were read lately, a byte for each: of some 12 GiB of logs."""
UNSEALED_FOUND_BYTES_MAX = 32 * MIB
"""Where lines that matched lately stand in what is not sealed yet, 12 bytes each."""
UNSEALED_TEXT_BYTES_MAX = 32 * MIB
"""Lines that came lately, each three times: some 10 MiB of logs, for searches that look at what came since."""
BARREN_BYTES_MAX = 16 * MIB
"""Generations in which nothing matched, 16 bytes for each and query: a hundred queries of ten thousand live files."""
BARREN_NODES_MAX = 16
"""Where the facts of files leave more different queries than this, it is not remembered where they found nothing."""
UNSEALED_PLAIN_MAX = 100_000
"""Generations of which it is known that they are text as it stands."""
SEARCH_LEARNED_BYTES_MAX = 4 * MIB
"""What one search holds of what it read, a bit per line, before it puts it with the answers for the next one."""
PROGRAMS_KEPT = 16
"""Compiled patterns that are kept for the next search, each at most ``REGEX_MEMORY_BYTES_MAX``."""
AUTOMATON_NODES_MAX = 2_000
"""Patterns of more nodes are left to RE2: each repetition counts as often as it may be."""
AUTOMATON_STATES_MAX = 1_000
"""So are those that come to more states than this: each is found out in Python, once, in some 50 microseconds."""
AUTOMATON_WORK_MAX = 100_000
"""And those that take more steps than this to make and to find all states that were ever needed, some 100 ms: nobody
can stop that meanwhile."""
AUTOMATON_TYPE_STEPS_MAX = 8_000_000
"""Steps over the texts of a segment's log types, some 30 ms: after that its lines are read."""
TIMES_TRUSTED_FROM_BYTES = 64 * KIB
"""Smaller files are read where times are asked for: that takes no longer than comparing them with their index."""
SEARCH_RUNS_AHEAD = 8
"""Runs of segments, some 256 KiB each, that a search looks through while those before are told."""
SEARCH_SPREAD_BYTES = 64 * MIB
"""From so much content on that a tally has to look through, other processes are asked to help, if there are any."""
SEARCH_BATCH_BYTES = 64 * MIB
"""Content that a worker of a search gets to look through at a time: so much is lost when nobody waits any more."""
SEARCH_PROCESSES_MAX = 64
SEARCH_CLUSTER_S_MAX = 5.0
"""How long a search waits for the scheduler of its cluster, before it does the work itself."""
SEARCH_CLUSTER_BUSY_S_MAX = 20.0
"""How long the scheduler may say nothing while workers work: it loads the program when it gets the first batch."""
SEARCH_CLUSTER_REST_S = 30.0
"""For so long after an attempt that failed, searches do the work themselves without trying again."""
SEARCH_WAIT_S = 0.05
"""How often a search looks whether it is to stop while workers work for it."""
SEARCH_ASK_S = 1.0
"""While workers work for a search and nothing comes, it asks so often whether any of them is left."""
HISTOGRAM_BUCKETS_SHOWN = 120
"""How many buckets a histogram whose width nobody asked for has at most: as wide as a page or a terminal."""
HISTOGRAM_BUCKETS_MAX = 10_000
"""How many any histogram has: more become wider ones, so a time that makes no sense costs no memory."""
FACET_VALUES_SHOWN = 20
"""Values of a facet that are told one by one."""
HIT_SPANS_MAX = 64
"""Matches marked in one hit."""
REGEX_MEMORY_BYTES_MAX = 8 * MIB
REGEX_PROGRAM_BYTES_MAX = 2 * MIB
"""What a regular expression may be compiled to. RE2 holds Python's lock while it compiles, some 20 ms for each MiB, and
all who use the server wait: a letter of any alphabet, 300 times, was 150 ms."""

# Web and API -------------------------------------------------------------------------------------------------------
BODY_BYTES_MAX = 1 * MIB
WEB_ASK_S_MAX = 120.0
"""In which a request has to come as a whole: the largest takes that long at 70 kbit/s; most are one packet."""
PAGE_ITEMS_MAX = 1_000
SESSION_S_MAX = 12 * 3600.0
SESSION_IDLE_S_MAX = 2 * 3600.0
SESSION_TOUCH_S = 60.0
"""How exactly "last used" of a session or token is recorded: reading must not write on every request."""
USER_NAME_CHARS_MAX = 64
SETUP_LINK_S_MAX = 30 * 60.0
JOIN_TOKEN_S_MAX = 24 * 3600.0
JOIN_TOKEN_USES = 10
JOIN_TOKEN_USES_MAX = 100_000
GROUP_CHARS_MAX = 63
TAIL_PING_S = 15.0
FILE_GROWING_S = 120.0
"""A file that got bytes within this time is shown as growing."""
TAIL_POLL_S = 0.2
"""How often the web part asks the catalog whether a followed file has grown."""
TAIL_ROWS = 500
TAIL_ROWS_BYTES = 256 * KIB
"""What one event of a followed file holds at most."""
MERGE_SOURCES_MAX = 8
"""Files or series merged into one view: so many colours can be told apart."""
MERGE_PARTS_MAX = 100
"""Pieces of one rotated log that are read as one, the newest."""
MERGE_SIBLINGS_MAX = 10_000
"""Files of a folder that are looked through for pieces of a log."""
MERGE_ROWS_MAX = 1_000
"""Lines of one answer of a merged view."""
MERGE_BYTES_MAX = 2 * MIB
"""Of its text."""
MERGE_WINDOW_LINES = 200
"""Lines read of one file at a time."""
MERGE_LOOK_BACK_LINES = 64
"""How far before a window is looked for the time of its first lines: stack traces are rarely longer."""
MERGE_PROBE_BYTES = 64 * KIB
"""Read to find out which time it is somewhere in a file."""
MERGE_SAMPLES = 24
"""Times taken of each file to find a share of all bytes."""
MERGE_STEPS = 3
"""How often that is mended until it is near enough."""
MERGE_PLACES_CHARS_MAX = MERGE_SOURCES_MAX * 57
"""Of a cursor: three numbers of 18 digits for each file."""
TIME_FORMAT_LINES = 200
"""From so many lines at the beginning it is told whether a file has times."""
ZONE_CHARS_MAX = 64
"""Of the name of a time zone: the longest that is known has half as many."""
TAIL_FILES_MAX = 20
"""Files that one stream follows: each is asked for with every poll, and nobody reads more at once."""
TAIL_PLACES_CHARS_MAX = TAIL_FILES_MAX * 57
"""Of an event's id: three numbers of 18 digits for each file."""
TAIL_CHOICE_MAX = 1000
"""Files that a query may find of which those are followed that grew last."""
TAIL_LINES_KEPT_MAX = 10_000
"""Lines that a page which follows files keeps: what one reads back, and no burden for a browser."""
TAIL_IDENTITY_S = 30.0
"""How often an open stream checks that its session still stands."""
SEARCH_PIECE_S = 0.1
SEARCH_PIECE_EVENTS = 200
SEARCH_PIECE_CHARS = 256 * KIB
"""A search is streamed in pieces of this much time, this many events and so much text of them."""
SEARCH_FIRST_PIECE_S = 0.05
"""The first piece: nobody notices this wait, and most searches are over by then."""
STREAMS_MAX = 512
"""Open search and tail streams of one web process; beyond it 429."""
STREAMS_PER_USER_MAX = 64
"""Those of one person: a wall of followed files and some searches, and seven others still have as many."""
STREAM_THREADS = 8
"""Threads that do the short blocking pieces of streams, apart from those that serve requests."""
SEARCH_LONG_THREADS = 4
"""Threads that go on with searches whose first piece was not all: few, so that first pieces of others get a core."""
LINE_STEP_S = 0.25
"""Of long searches those go first that have worked less than this so far; then those below four times as much, …"""
LINE_STEPS = 3
"""So often: beyond, all are alike."""
LINE_FAIR_TURN = 4
"""One in so many turns is for who came first, however much it has worked."""
SEARCH_SHORT_CPU_S = 0.05
"""From so much CPU of the process on, since it began, a search is long: one that only waits for a core is not."""
SEARCH_REST_S_MAX = 0.025
"""So long long searches rest altogether while something short is in hand: several times what a request takes. They may
rest again when as long a time has passed in which nothing was."""
SEARCH_TURN_S = 0.005
"""After that they go on one at a time, for so long each: all other cores, and most of Python's lock, are for others."""
SHORT_WORK_S_MAX = 1.0
"""A request that takes longer is not short, whatever it waits for: nobody gives way to it any more."""
SHORT_WORK_PAUSE_S = 0.15
"""After a request the next one of the same page may come for so long: what nobody waits for (lines counted in the
background) begins again only then."""
STAND_BACK_S_MAX = 0.5
"""But it does not stand back for longer than this; then it goes on …"""
STAND_BACK_TURN_S = 0.05
"""… for so long, whatever is in hand."""
SEARCH_DEBT_S = 5.0
"""How fast it is forgotten how long searches of a person have worked: two thirds of it in so many seconds."""
SEARCH_DEBT_S_MAX = 0.5
"""Whose searches have worked longer than this has no short work: nobody gets ahead by asking many long ones."""
SEARCH_FREE_S = 0.01
"""What a search that is soon over may take without being held against a person: twice what a rare word takes."""
SEARCH_NICE = 5
"""How nice threads are that work on long searches: a third of a core's time where somebody else wants it."""
WEB_SWITCH_S = 0.0002
"""How long a thread of the web part computes in Python while another one waits to. Python's own 5 ms are waited for at
each of some thirty hand-overs of a request: every statement of the database is one, every write, every wait."""
SIGN_IN_ADDRESSES_MAX = 10_000
"""Addresses remembered for failed sign-ins; the longest unseen is forgotten first."""
SIGN_IN_FAILURES_FREE = 5
SIGN_IN_NAMES_MAX = 8
"""Of one address the failures of so many names are told apart: a success forgets those of its own name."""
SIGN_IN_WAIT_S_MAX = 300.0
SIGN_IN_FORGET_S = 1800.0
PASSWORD_CHECKS_AT_ONCE = 2
"""Password checks at the same moment: each costs tens of MiB and a core."""
PASSWORD_CHECK_WAIT_S = 5.0
"""Whoever would wait longer for one is asked to come again: a thread waits for each."""
VERIFIED_PASSWORDS_MAX = 20_000
"""Agents whose right password is remembered (in memory, keyed hash), so that reconnecting is cheap."""
RESET_LINK_S_MAX = 24 * 3600.0
"""A link that sets a password goes by mail or chat: it shall still work tomorrow, not next week."""
SECOND_FACTOR_S_MAX = 5 * 60.0
"""From the right password to the one-time code: time to find the phone."""
SECOND_FACTOR_TRIES = 5
"""Codes that may be tried behind one right password."""
TOTP_STEP_S = 30
TOTP_DIGITS = 6
"""What every authenticator app assumes (RFC 6238)."""
TOTP_STEPS_AROUND = 1
"""Steps before and after the present one whose codes count: clocks of phones are some seconds off (RFC 6238, 5.2)."""
RECOVERY_CODES = 10
TOKENS_PER_USER_MAX = 100
"""Tokens of one person: enough for every script; a loop that makes tokens is stopped."""
TOKEN_NAME_CHARS_MAX = 100
SCOPE_GLOBS_MAX = 100
SCOPE_GLOB_CHARS_MAX = 1_000
"""A scope is checked for every file that is listed."""
USERS_MAX = 10_000
"""People of one server; the page lists all of them."""
OIDC_S_MAX = 10.0
"""One question to a provider, from looking up its name to the last byte of its answer."""
OIDC_BYTES_MAX = 512 * KIB
"""An answer of a provider: what they say of themselves has some 5 KiB, their keys 20, an ID token with groups 60."""
OIDC_AT_ONCE = 8
"""Sign-ins that wait for a provider at the same moment: a slow one must not take the threads that serve everybody."""
OIDC_KEEP_S = 3600.0
"""How long what a provider says of itself, and its keys, are believed without asking again."""
OIDC_AGAIN_S = 10.0
"""How soon a provider is asked again after it failed, or for keys it did not have: strangers can cause either."""
OIDC_KEYS_MAX = 100
OIDC_RSA_BITS_MIN = 2048
"""Shorter keys can be taken apart; nobody should trust what they sign."""
OIDC_SIGN_IN_S_MAX = 15 * 60.0
"""From the button to the way back: time for a password, a second factor and a new password in between."""
OIDC_CLOCK_OFF_S = 120.0
"""How far the provider's clock may be from ours."""
OIDC_CLAIM_CHARS_MAX = 255
"""Of the name and the subject of a person (OpenID Connect Core, 2: a subject has 255 characters at most)."""
OIDC_GROUPS_MAX = 10_000
"""Groups of one person that are looked through."""
OIDC_CODE_CHARS_MAX = 4_096
OIDC_HINT_CHARS_MAX = 4_096
"""Of an ID token that is kept to sign out with: it goes into an address, and longer ones are cut by somebody."""
OIDC_NEXT_BYTES_MAX = 1_500
"""An address kept in a cookie through a sign-in; a cookie has 4 KiB at most, and this is text within text."""
OIDC_LOGOUT_S_MAX = 10 * 60.0
"""How old a message that somebody signed out there may be: so long its name is remembered, that it counts once."""
OIDC_LOGOUT_CHARS_MAX = 16 * KIB
"""Of such a message: they have some 1 KiB."""
OIDC_FRESH_S = 10 * 60.0
"""Who has no password here makes tokens only so shortly after signing in."""
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 1_024

# Looking after the machine ------------------------------------------------------------------------------------------
YEAR_MIN = 2026
"""A clock before it is wrong: this program did not exist."""
OPEN_FILES_MIN = 4_096
"""Fewer run out with a few hundred agents, or a search over many files."""
OPEN_FILES_USUAL = 65_536
"""What the units ask for: thousands of idle sessions, and the files of all that is being received and read."""
INOTIFY_WATCHES_USUAL = 524_288
"""What desktops set; a watch takes about 1 KiB of kernel memory."""
WATCHED_FOLDERS_COUNTED_MAX = 1_000_000
CERTIFICATE_DAYS_LEFT_MIN = 21
"""Three weeks to renew a certificate, holidays included."""
LOG_KEPT_BYTES = 512 * KIB
"""Of each part's log, twice: some 5,000 lines, enough to see what led to a failure."""
SUPPORT_LINES_MAX = 20_000
"""Lines of log in a support bundle, of all parts together: the newest."""
CATALOG_LOOK_S_MAX = 10.0
"""How long doctor lets SQLite look through a catalog: some 5 GB."""
PASSIVE_PORTS_USUAL = 32
"""Fewer, and a few agents with four connections each wait for one another."""
DOCTOR_ANSWER_S_MAX = 5.0
"""How long a running server may take to answer doctor and healthcheck."""

# Taking over from the older system --------------------------------------------------------------------------------
SEED_FILE_BYTES_MAX = 256 * MIB
"""Of its settings, users and records: a record of a million paths is about 150 MB."""
OLD_CONFIG_BYTES_MAX = 64 * KIB
"""Of an older agent's settings file as it uploads it, and so of what one agent can put aside: usual is 1 KiB."""
OLD_CONFIGS_MAX = 16
"""So many names of such settings of one agent are put aside; it has one, and perhaps copies of it."""
SEED_AGENTS_PER_USER_MAX = 1_000
"""For whom one user may deliver: their ids are compared with each path."""

# Audit -------------------------------------------------------------------------------------------------------------
AUDIT_KEEP_S = 730 * 86400.0
"""Two years: longer than most rules ask for."""
AUDIT_ROWS_MAX = 5_000_000
"""Entries kept at most, whatever their age: some 2 GB of catalog."""
AUDIT_PAGE_ROWS = 1_000
AUDIT_TEXT_CHARS_MAX = 2_000
"""Of the text of one field: a query may be longer, and its beginning tells which it was."""
AUDIT_LIST_MAX = 20
"""Of a list (files taken out, rules of a scope); a digest binds the rest, so that it can be shown which they were."""
AUDIT_AGAIN_S = 600.0
"""Reading on in a file is one entry in so long; every scroll of the viewer would be one otherwise."""
AUDIT_KNOWN_MAX = 20_000
"""Who reads what just now, remembered for that."""
AUDIT_LOOK_ROWS = 50_000
"""Entries that one query looks through for those that a filter lets in: a fraction of a second."""
AUDIT_LOOK_S_MAX = 2.0
"""Then a page is as full as it is, and the next one goes on."""
AUDIT_VERIFY_AGAIN_S = 30.0
"""Millions of entries take minutes; whoever comes meanwhile tries again after so long."""

# Server ------------------------------------------------------------------------------------------------------------
USERS_FRESH_S = 0.5
"""How long the FTP part trusts what it read about users: revoking takes effect within it."""
STORED_FRESH_S = 0.05
"""How long a session's SIZE and MFMT right behind its upload rely on what the commit said, not asking the catalog."""
ACTIVITY_WRITE_S = 1.0
"""What agents did is written to the catalog at most this often."""
DISK_CHECK_S = 5.0
DISK_DAYS_KEPT = 30
"""How full the disk was is remembered for so many days."""
DISK_PACE_DAYS = 7
"""The pace at which the disk fills is that of so many days: a week, so that quiet days count as often as busy ones."""
DISK_PACE_DAYS_MIN = 3
"""From fewer days than these nothing is concluded: sealing and retention make a day alone look like anything."""
USUAL_DAYS = 14
"""What arrives on a day is compared with so many days before: two of every day of the week."""
USUAL_DAYS_MIN = 7
"""From fewer days than these nobody is told what is usual."""
USUAL_KEEP_S = 3600.0
"""What arrived on days that are over changes no more: how long the sums are kept ..."""
USUAL_KEPT = 64
"""... and of how many sets of agents, as people with different rights see them."""
CLEANUP_S = 600.0
"""How often expired sessions, tokens and codes are removed."""

# Agent -------------------------------------------------------------------------------------------------------------
SLICE_BYTES = 16 * MIB
"""One turn of a file: large enough to fill the line, small enough to be fair."""
PRIORITY_MAX = 9
PRIORITY_RATIO = 8
PRIORITY_STEPS_MAX = 3
"""Of the bytes sent while several priorities wait each gets one eighth of what the next higher gets; from the fourth
on they get the same, so that the lowest is slow and never stands still."""
TURN_BYTES_MIN = 64 * KIB
"""What the turn of a small file counts between priorities: its commands cost, too."""
HEAD_BYTES = 4 * KIB
TAIL_BYTES = 4 * KIB
"""What identifies a generation: its head, and the bytes before the offset (32 bytes were too few)."""
ALIVE_S_MIN = 10.0
ALIVE_S_MAX = 120.0
"""How often an agent with nothing to send says that it lives: as often as it looks, within these bounds, and well
before the server ends an idle session."""
BACKOFF_S_MIN = 1.0
BACKOFF_S_MAX = 60.0
FILE_BACKOFF_S_MAX = 300.0
FULL_RETRY_S_MAX = 4.0
"""A server without room answers at once and at little cost, so it is asked again this soon: delivery goes on within
5 s of room being there, however long that took. One connection asks for all."""
SERVERS_MAX = 16
SERVER_TRIES = 3
"""Failures in a row after which the agent turns to the next of its servers: a restart is no reason to change."""
DIGEST_WHOLE_BYTES_MAX = 256 * MIB
"""Up to here all of what a server has of a file is compared by digest when the registry knows nothing of it; beyond
it the last bytes decide, so that a lost registry does not mean reading every large log twice."""
SLOW_LINK_BYTES_S = 12 * MIB
"""Bundles are tried compressed when they go slower than this: zlib packs several times as fast on one core."""
PACKED_GAIN_MIN = 1.2
"""Compression stays while it moves at least so many times the bytes of files per second."""
PACKED_SAMPLE_BYTES_MIN = 256 * KIB
"""Smaller bundles say nothing about a link: their time is that of the round trips."""
PACKED_AGAIN_BUNDLES = 64
"""After so many bundles the other form is tried again: links change."""
SIGN_IN_RETRY_S = 60.0
"""The agent's first pause after a refused password: no guessing, no ban."""
STOP_S_MAX = 5.0
AGENT_CONNECTIONS_MAX = 64
SECRET_BYTES_MAX = 4 * KIB
COMPARE_BYTES_MAX = 1 * GIB
"""Files that look untouched but for their inode or change time are compared by digest up to this size: about a second
of reading on each side. Longer ones count as the same where their modification time is."""
READ_WHOLE_BYTES = 256 * KIB
"""A slice up to this size is read at once, so that what is fingerprinted is what is sent; a larger one is mapped."""
BATCH_FILES = 64
BATCH_BYTES = 8 * MIB
"""Small slices that travel together and share one commit of the registry."""
BATCH_NEW_FILES = 256
"""New files of one batch: more than grown ones, since nobody waits for their next line, and they go as one bundle."""
LEFTOVERS_OF_A_FILE_MAX = 32
"""Temporary names that one new file takes in turn while its connections are lost again and again; then the last one
again. All of them are asked for and removed when it has arrived."""
CHECKED_MAX = 10_000
"""Files whose size on the server the agent trusts without asking again, as long as the connection lasts."""
COPY_WAIT_S_MIN = 0.25
COPY_WAIT_S_MAX = 10.0
COPY_DIGEST_BYTES_MAX = 4 * GIB
"""Of a longer generation no digest is asked for before it moves aside: the server would read for too long."""
COPY_TRIES_MAX = 10
"""How often, and how long apart, a compressed file waits to be told a copy (about a minute in all): its original may
still be on its way. Then it is sent."""
HANDLES_MAX = 256
HANDLES_MIN = 8
HANDLES_LIMIT = 65_536
UNJUDGED_MAX = 64
"""New files kept open while it has to wait what they are, as in fast rotation; beyond the settings' ``open_files``."""
HANDLES_NAMELESS_SHARE = 0.75
"""How much of the open files may be ones that were deleted; the rest is for those that grow."""
HANDLE_IDLE_S = 60.0
"""Files that grew lately stay open, so that what is written after a rotation or deletion is still read."""
SCAN_CPU_SHARE = 0.01
"""The pause between two full looks grows until they take no more than this share of one core."""
SCAN_WATCHED_CPU_SHARE = 0.0005
SCAN_WATCHED_S_MAX = 600.0
"""The same where every folder is watched, so that 10,000 quiet files cost 0.05 % of a core; within ten minutes what no
event told of (a write through a mapping of memory, one on another machine) is found all the same."""
SCAN_CHUNK_FILES = 1_000
"""New files recorded in one transaction, and looked at before the results of workers are read again."""
LOOK_SLICE_S = 0.05
"""A look at a large tree stops this often to hear what the watcher and the workers have to say."""
LOOK_FILES_MAX = 20_000
"""Files that differ which one look at one folder takes up: a folder may hold millions."""
JUDGED_FILES_MAX = 5_000
"""Files of one look whose identity is judged together; a mass rename or change of owners is taken in parts."""
WORKS_MAX = 20_000
"""Files that could be sent now and are in memory for it (about 1 KB each); others are looked at again later."""
WORKS_NEW_MAX = 60_000
"""From here on no new file is taken up, even if none of these can be sent now: they settle, fail or wait for others."""
MARKS_UNPACKED_MAX = 131_072
"""Files whose names and marks are held for quick use (about 150 bytes each); those of all others are packed."""
GONE_KEEP_S = 30 * 86400.0
"""How long the registry remembers a file that is gone from the node."""
FORGET_S = 3600.0
"""How often rows are looked through for files gone for that long."""
POLL_S_MIN = 0.25
"""Folders without a watch are looked at this often, less often when it would take more than SCAN_CPU_SHARE."""
WATCH_COALESCE_S = 0.02
"""Wait after the first event, so that the kernel merges those that follow."""
NOTIFY_STEP_MS = 50
NOTIFY_GROUP_MS = 200
"""Windows and macOS: how often the watcher's thread looks up, and for how long at most it gathers changes."""
FINDINGS_MAX = 100
"""Problems the status lists; more are only counted."""
JOIN_REPLY_BYTES_MAX = 64 * KIB
CONFIG_LOOK_S = 1.0
"""How often the agent looks whether its settings have changed; so long a file that is being written has to be whole."""
CONFIG_FILE_BYTES_MAX = 16 * MIB
"""How much of a file that the settings name is compared with what it was: a bundle of all authorities has 0.3 MiB."""
RETIRE_S = 10.0
"""How long a transfer may go on under settings that count no more, before it is cut and resumed under the new ones."""
RELOAD_ANSWER_S = 10.0
"""How long ``agent reload`` waits for the running agent, which looks up once a second; a long walk takes more."""
HEARTBEAT_S_MIN = 30.0
"""Pause between two heartbeats; the server hears the agent over FTP more often."""
HEARTBEAT_TIMEOUT_S = 10.0
HEARTBEAT_ITEMS_MAX = 20
HEARTBEAT_TEXT_CHARS_MAX = 500
"""Sources and problems that a heartbeat names, and how much of each; ``agent status`` on the node knows them all."""
HEARTBEAT_AGENTS_MAX = 20_000
"""Agents whose last heartbeat the web part keeps in memory, some kilobytes each."""
METRICS_CLIENT_S_MAX = 5.0
"""A client of the metrics that does not ask or take its answer for so long is cut; others wait meanwhile."""
CLOCK_SKEW_S_MAX = 5.0
"""More difference between two clocks is worth a warning."""

assert NAME_BYTES_MAX < PATH_BYTES_MAX < FTP_LINE_BYTES_MAX < FTP_LINE_DISCARD_BYTES_MAX
assert FTP_AHEAD_BYTES_MAX <= FTP_PIPELINE_BYTES_MAX // 2
assert FTP_CONFLICTS_FREE < FTP_CONFLICTS_MAX
assert FTP_LOGIN_DELAY_S <= FTP_LOGIN_DELAY_S_MAX < FTP_LOGIN_S_MAX
assert BUNDLE_MEMBER_BYTES_MAX < BUNDLE_BATCH_BYTES
assert BUNDLE_REFUSALS_SHOWN_MAX + 10 < FTP_REPLY_LINES_MAX
assert BUNDLE_REPORT_BYTES_MAX * 2 < FTP_REPLY_BYTES_MAX
assert FTP_SMALL_DIGEST_BYTES_MAX <= FTP_SPLICE_FROM_BYTES
assert FTP_FILES_AHEAD_MAX * 7 <= FTP_COMMANDS_AHEAD_MAX
assert UNPACK_RATIO_FREE_BYTES < TEXT_BYTES_MAX
assert COPIES_QUIET_S < COPIES_AGAIN_S_MIN < COPIES_AGAIN_S_MAX
assert HEAD_BYTES <= SLICE_BYTES
assert JUDGED_FILES_MAX <= LOOK_FILES_MAX <= WORKS_MAX <= WORKS_NEW_MAX
assert TAIL_BYTES <= SLICE_BYTES
assert SCAN_BLOCK_BYTES % LINE_INDEX_STEP_BYTES == 0
assert REGEX_PROGRAM_BYTES_MAX <= REGEX_MEMORY_BYTES_MAX
assert SEARCH_FIRST_PIECE_S < SHORT_WORK_S_MAX
assert SEARCH_TURN_S < SEARCH_REST_S_MAX < SHORT_WORK_S_MAX
assert SCAN_REGEX_BYTES < SCAN_BLOCK_BYTES < SCAN_LINE_BYTES_MAX
assert LEVEL_REACH_BYTES < LEVEL_JSON_REACH_BYTES < LINE_HEAD_BYTES < FIELD_LINE_BYTES_MAX < SCAN_LINE_BYTES_MAX
assert HIT_BYTES_SHOWN_MAX < ENTRY_BYTES_SHOWN_MAX < ENTRY_BYTES_MAX < SCAN_BLOCK_BYTES
assert CONTEXT_BLOCK_LINES_MAX > 2 * (2 * SEARCH_CONTEXT_LINES_MAX + 1)
assert SEARCH_JOB_BYTES_MAX * 2 < SEARCH_JOBS_BYTES_MAX
assert SEARCH_JOBS_PER_USER_MAX > SEARCH_PER_USER_MAX
assert QUERY_CHARS_MAX * 4 < SCAN_OVERLAP_BYTES < SCAN_BLOCK_BYTES
# Segments --------------------------------------------------------------------------------------------------------
FRAME_BYTES = 512 * KIB
"""Content of one frame. Measured (docs/adr): half the size costs 5 % more disk, twice the size doubles what a random
read has to decompress."""
FRAME_BYTES_MAX = 16 * MIB
"""No frame that we write or read holds more."""
FRAME_WINDOW_BYTES_MAX = 8 * MIB
"""Window of zstd data that we read: what every decoder has to support (RFC 8878, 3.1.1.1.2)."""
SEGMENT_BYTES = 256 * MIB
"""Content of one segment: small enough to be sealed again after a crash, large enough for a short list."""
SEGMENT_BYTES_MAX = 4 * GIB
MANIFEST_BYTES_MAX = 12 * MIB
"""Expanded manifest of one segment: more than SEAL_BATCH_FILES files with paths of 150 bytes. Read as text it may take
four times as much memory, and again as values."""
MANIFEST_VALUES_MAX = 500_000
"""Values in it, each of which takes up to 72 bytes of memory: SEAL_BATCH_FILES files take 300,000."""
MARKER_BYTES_MAX = 1 * MIB
"""One marker, with the names of all small files in its frame."""
SEEK_ENTRIES_MAX = 100_000
"""Frames in a segment, three times as many as one of SEGMENT_BYTES_MAX has; each entry takes 160 bytes of memory."""

# The store ---------------------------------------------------------------------------------------------------------
OBJECT_NAME_BYTES_MAX = 900
"""S3 allows 1,024, with the prefix."""
STORE_OPEN_MAX = 128
"""Descriptors of objects kept open for reading."""
STORE_BLOCK_BYTES = 1 * MIB
"""What is fetched from a bucket at once: a few frames for the price of one round trip."""
BUCKET_PART_BYTES = 8 * MIB
"""One part of a multipart upload; S3 allows 10,000 parts of at least 5 MiB."""
BUCKET_RETRIES_MAX = 5
BUCKET_S_MAX = 60
"""One request to a bucket, with its repetitions."""

# Sealing -----------------------------------------------------------------------------------------------------------
SEAL_LEVEL = 1
"""Level of the first sealing, which keeps pace with what arrives; a week later compaction makes it small
(docs/adr/0017)."""
SEAL_BATCH_FILES = 20_000
"""Generations in one segment at most, and rows looked at together."""
SEAL_TAIL_BYTES_MAX = 16 * MIB
"""What of a growing generation is copied, under its lock, when its file is given up for sealed bytes and a tail."""
SEAL_PART_BYTES_MIN = 1 * MIB
"""Where less room than this is left in a segment, no larger file is begun there: a piece that small is not worth its
extent, and would cut a line."""
SEAL_SCRATCH_BYTES_MIN = 1 * MIB
"""With less room for a segment nothing is sealed; with little, segments are small, and give room for larger ones."""
SEGMENTS_OPEN_MAX = 64
"""Segments whose manifests are kept in memory for reading."""
FRAMES_CACHED_BYTES_MAX = 64 * MIB
"""Expanded frames kept for the next read near by."""
SEAL_QUIET_S = 3600.0
"""Default of ``archive.seal_after``."""
SEAL_LEAST_BYTES = 8 * MIB
"""An agent with less at rest waits for more, so that its segments are worth their names …"""
SEAL_WAIT_S = 86400.0
"""… but not longer than this."""
SEGMENT_GRACE_S = 86400.0
"""Objects of the store that nothing refers to are kept for so long: somebody may be reading, or about to commit."""
WARMING_QUESTION_S = 2.0
"""How long each question takes at most that a process asks itself so that the first one of a person is quick."""
WARMING_WAIT_S = 0.5
WARMING_WAIT_S_MAX = 30.0
"""How often it looks whether what it would load was compiled by now: less and less often."""
WARMING_WORDS_BYTES_MAX = 2_000
"""Of what a process that failed said last."""
SWEEP_EVERY_S = 3600.0
"""Pause between two looks for such objects, after one at the start: they list the whole store, which a bucket bills."""
SWEEP_FILES_TOGETHER = 16
"""Files removed with one commit: others can publish under their names only after it, so it is over in a moment."""
SWEEP_LEFT_MAX = 100
"""Files and objects named that could not be removed."""
CARE_S = 30.0
"""Pause between two rounds of background duties."""
CARE_NICE = 10
COMPACT_LEVEL = 9
"""Level of compacted segments: 12 would save 0.5 % more, for a quarter more CPU of compressing."""
assert SEAL_LEVEL < COMPACT_LEVEL
COMPACT_SMALL_SHARE = 0.25
"""Segments with less than this share of a full one are merged."""
COMPACT_LEAST_SHARE = 0.5
"""Segments of whose content less than this counts are written anew: each byte is written once more at most for each
byte that is given back."""
COMPACT_AFTER_S = 7 * 86400.0
"""Age at which a segment is compressed harder."""
COMPACT_EVERY_S = 3600.0

# Index of a segment ------------------------------------------------------------------------------------------------
GRANULE_BYTES = 256 * KIB
"""What the index tells apart. Measured (docs/adr/0010): half the size makes the index 16 % larger; a frame, twice as
large, is read whole anyway."""
INDEX_BLOCK_BYTES_MAX = 64 * MIB
"""One block of an index, expanded."""
INDEX_BLOCKS_MAX = 100_000
INDEX_TYPES_MAX = 1_000_000
"""Log types of one segment; lines of further ones post their words."""
INDEX_TYPE_BYTES_MAX = 64 * MIB
"""Static text of all log types held while an index is built."""
INDEX_TYPES_CROWD = 96 * 1024
INDEX_TYPE_BYTES_CROWD = 7 * MIB
"""So many log types, or so much of their text, while an index is built: then the rare ones post their words at once and
are forgotten. Logs of programs have some 2 MiB in a whole segment, prose would fill whatever there is. Tables of
2^17 types and 8 MiB have room for the granule that goes beyond it."""
INDEX_TYPE_SHARE = 24
"""Where the text of log types is more than one in so many bytes of content, lines of rare types post their words."""
INDEX_CACHE_BYTES = 192 * MIB
"""Expanded blocks that all open indexes of a process keep together: the columns of some six whole segments."""
INDEXES_OPEN_MAX = 16
"""Indexes that one process keeps open beside those that searches use."""
INDEX_RARE_WORDS_BYTES_MAX = 2 * MIB
"""Static words of rare lines that an index tells by name: languages have fewer, random letters are not worth it."""
INDEX_SOUGHT_KEPT = 256
"""Texts that were looked up lately, told apart into words: a search asks each of all its segments."""
INDEX_TABLES_MAX = 64
"""Tables of lines that one process keeps: some 20 KB each, 300 KB for a segment of 20,000 small files."""
INDEX_AGAIN_S = 3600.0
"""An index that could not be built is tried again after so long, each further time after twice as long …"""
INDEX_AGAIN_S_MAX = 7 * 86400.0
"""… but not longer: a disk may have been repaired, or a newer version may know what to do with such bytes."""
INDEX_LATER_S = 60.0
"""The same where the store did not answer for one segment, so that others come first; up to ``INDEX_AGAIN_S``."""
INDEX_FAILED_NAMED_MAX = 20
"""Segments named whose index could not be built; all are counted."""
INDEX_STEP_S_MAX = 600.0
"""One frame in the process that builds indexes: milliseconds, but the first one of a machine compiles the kernels."""
INDEX_S_MAX = 1200.0
"""All work on one index there, 3 seconds for the largest usual one: sealing waits for it."""
INDEX_MEMORY_BYTES_MAX = 3 * GIB
"""Memory that this process may take for itself: 0.3 GiB for a usual segment of SEGMENT_BYTES, 1.7 for the worst that
was tried (nothing but empty lines; random words take 0.9 to 1.3)."""
INDEX_WORDS_CHARS_MAX = 300
"""How much is told of what it said at its end."""
INDEX_TURN_S_MAX = 60.0
"""After so long the building of missing indexes lets the other duties have their turn."""
INDEX_WORKER_IDLE_S = 300.0
"""That process ends when nothing was to do for so long: starting it costs a second, keeping it 200 MB."""
# Care --------------------------------------------------------------------------------------------------------------
SCRUB_BYTES_PER_S = 16 * MIB
"""How fast the scrub reads: a terabyte in 18 hours, while a disk still has most of its speed for everybody else."""
SCRUB_S = 30 * 86400.0
"""Default of ``archive.scrub_every``: sooner than two disks of an array fail, later than it would wear them."""
SCRUB_TURN_S_MAX = 60.0
"""After so long the scrub lets the other duties have their turn."""
SCRUB_BATCH = 20
"""Segments looked up at once by the scrub."""
FLAW_AGAIN_S = 86400.0
"""Damaged segments are read again after so long: a bad cable may have been replaced."""
FLAWS_PER_PLACE_MAX = 1000
"""Frames named of one damaged segment; more of them are counted."""
FLAW_PATHS_MAX = 20
"""Paths named of one damaged frame or segment; more of them are counted."""
CARE_PAGE_ROWS = 1000
"""Rows read at once by whoever walks through all generations or segments."""

# Lines and times of listings ---------------------------------------------------------------------------------------
MEASURE_TURN_S_MAX = 5.0
"""After so long the measuring of lines lets the other duties have their turn: a list can do without for a while."""
MEASURE_ROWS = 1000
"""Rows written in one transaction: uploads wait no longer than for these."""
MEASURE_LIVE_ROWS = 1000
"""Generations with unsealed bytes that one turn looks up, the newest first, and so many of the older ones."""
MEASURE_LIVE_BYTES = 4 * MIB
"""Of one generation with unsealed bytes a turn counts so much: most logs do not grow by more meanwhile …"""
MEASURE_LIVE_TURN_BYTES = 64 * MIB
"""… and of all of them together. What is being delivered for the first time is sealed soon, and counted by then."""
MEASURE_TIME_BYTES = 64 * KIB
"""A time is looked for in so much at the beginning and at the end of what was counted, …"""
MEASURE_TIME_LINES = 20
"""… in so many lines: 40 lines without one take some ten milliseconds."""

# Retention ---------------------------------------------------------------------------------------------------------
RETENTION_KEEP_S_MIN = 3600.0
"""No rule deletes what is younger: a slip of the unit must not empty an archive within minutes."""
RETENTION_EVERY_S = 3600.0
"""Pause between two runs of retention."""
RETENTION_GRACE_S = 3600.0
"""Bytes stay on the disk for so long after their rows are gone: somebody may be reading them."""
RETENTION_BATCH = 200
"""Generations deleted by one commit."""
RETENTION_PREVIEW_S_MAX = 20.0
"""A preview in the browser stops counting after so long and says "at least"; the command line counts to the end."""
RETENTION_RUN_S_MAX = 20.0
"""A run in the browser stops after so long and says so; the next hourly run, or another click, goes on."""
RETENTION_JUDGED_FILES_MAX = 1_000_000
"""Files of an archive in which it is looked whether a rule takes in any, each time the rules are shown."""
RETENTION_SAMPLE = 100
RETENTION_JUDGED_KEEP_S = 300.0
"""Whether a rule takes in anything is not looked for at every load of the page."""
RETENTION_JUDGED_KEPT = 1_000
"""Generations that a preview names; the sums count all."""
EXPIRED_KEPT_S = 366 * 86400.0
"""How long the catalog remembers what retention deleted, for whoever asks where a file is."""

# Backup ------------------------------------------------------------------------------------------------------------
BACKUP_LEVEL = 3
"""zstd level of what a backup packs itself: bytes that are not sealed yet, which are packed anew as they grow."""
BACKUP_EXTENTS_MAX = 64
"""Pieces of one file, from as many backups, before all of it is packed anew."""
BACKUP_NOTE_BYTES_MAX = 16 * MIB
"""What a backup says about itself."""
BACKUP_LINE_BYTES_MAX = 1 * MIB
"""Of JSON in a part of a backup: a segment or a name, at most a few paths long."""
SLIP_BYTES_MAX = 64
"""In the file of a lock: a random key."""
BACKUP_WINDOW_BYTES_MAX = 8 * MIB
"""Memory that a compressed part of a backup may ask of us; our own level takes 2 MiB."""
BACKUP_PROBLEMS_MAX = 1000
"""Damaged things that a backup names; more of them are counted."""
BACKUP_PROBLEM_CHARS_MAX = 1000
"""Of what is told of one of them, so that all of them fit: JSON makes up to 12 bytes of a character."""

assert BACKUP_PROBLEMS_MAX * (BACKUP_PROBLEM_CHARS_MAX + 1) * 12 < BACKUP_NOTE_BYTES_MAX

assert SCAN_WATCHED_CPU_SHARE < SCAN_CPU_SHARE
assert BACKOFF_S_MIN < FULL_RETRY_S_MAX < BACKOFF_S_MAX <= FILE_BACKOFF_S_MAX

# Files by other orders than their names -----------------------------------------------------------------------------
FILES_SORTED_MAX = 5_000
"""Files that match of which the newest or largest are shown: a query that finds more is for narrowing first."""
NEAR_NAME_CHARS_MIN = 3
"""A shorter part of a word is near to too much."""
NEAR_NAMES_MAX = 8
NEAR_WORD_CHARS_MAX = 32
"""A longer word is pasted, not mistyped."""
NEAR_CUTS_MAX = 8
"""Characters that are left out at an end, one more with each try: each is two searches."""
NEAR_S_MAX = 1.0
"""Then nothing is near: the page is for what was asked."""

# Saved --------------------------------------------------------------------------------------------------------------
SAVED_MAX = 500
"""Of one person: a list that is still looked through."""
SAVED_NAME_CHARS_MAX = 100
SAVED_ADDRESS_CHARS_MAX = 4000
"""What every browser and proxy takes as an address."""

# Preferences --------------------------------------------------------------------------------------------------------
HIGHLIGHTS_MAX = 12
"""Of one person: each is looked for in every line that is drawn, and in the whole file for its ticks."""
HIGHLIGHT_CHARS_MAX = 200
"""Of one word: what still stands in a field and in a line."""
FORM_FIELDS_MAX = 4 + 3 * HIGHLIGHTS_MAX
"""Of a form: what the largest has, that of the highlights; no other has half as many."""

# Alerts -------------------------------------------------------------------------------------------------------------
ALERT_S = 15.0
"""Pause between two looks at everything that may be wrong."""
ALERT_GRACE_S = 15 * 60.0
"""After the server was away nobody is called silent for so long: agents come back with growing pauses."""
ALERT_AWAY_S = 60.0
"""A look that comes so much too late means that the server did not run meanwhile (or its machine slept)."""
ALERT_ALIVE_S = 60.0
"""How often it is written down that the server runs; how much of an outage may go unnoticed."""
ALERT_OUTAGES_MAX = 50
"""Outages of the server that are remembered, to be taken off agents' silence."""
ALERT_GATHER_S = 60.0
"""An alert waits so long before it is told, so that a thousand that come together are one message."""
ALERT_WELL_S = 300.0
"""It must be well for so long before it has ended: what flaps is one alert."""
ALERT_AUDIT_S = 6 * 3600.0
"""Pause between two readings of the whole chain of the audit: 10^5 entries take a second or two."""
ALERT_POST_S = 2.0
"""Pause between two looks for messages to be sent."""
ALERT_SENDERS = 4
"""Channels that are told at the same time: one that does not answer holds up no other."""
ALERT_SEND_S_MAX = 20.0
"""A receiver that has not answered in so long has not taken the message."""
ALERT_CLAIM_S = 120.0
"""An attempt of which nothing is heard (the server was killed in it) is made again after so long."""
ALERT_TEST_S = 10.0
"""Between two tests of a channel that people ask for: its receiver is somebody else's."""
ALERT_TRIES_MAX = 9
ALERT_RETRY_S_MIN = 15.0
ALERT_RETRY_S_MAX = 3600.0
"""15 s, 30 s, 1 min … 1 h: nine attempts in about an hour; then the message has failed, and the page says so."""
ALERT_REPLY_BYTES_MAX = 4096
ALERT_REPLY_CHARS_MAX = 500
"""How much of a receiver's reply is read, and kept."""
ALERT_NAMED_MAX = 50
"""Alerts that a message names one by one; of the others it says how many."""
ALERT_TITLE_CHARS_MAX = 150
ALERT_REASON_CHARS_MAX = 500
ALERT_AFTER_S_MAX = 366 * 86400.0
ALERT_RULES_MAX = 200
ALERT_GLOBS_MAX = 50
ALERT_GLOB_CHARS_MAX = 200
ALERTS_OPEN_MAX = 20_000
"""Of a large fleet that is away as a whole, several kinds each."""
ALERTS_KEPT_MAX = 20_000
ALERTS_KEEP_S = 180 * 86400.0
"""History of alerts and messages: half a year, and no more than so many."""
MUTE_S_MAX = 366 * 86400.0
CHANNELS_MAX = 50
CHANNEL_CHARS_MAX = 40
MAIL_TO_MAX = 50
CHANNEL_FILE_BYTES_MAX = 8192
"""Of a file with a URL, a secret or a password."""

# Agents' care -------------------------------------------------------------------------------------------------------
TAGS_MAX = 20
TAG_CHARS_MAX = 63
EXPECT_EVERY_S_MAX = 366 * 86400.0

# The porter of the FTP part -----------------------------------------------------------------------------------------
PORTER_S_MAX = 5.0
"""Whoever asks who is connected waits no longer, and whoever says nothing holds others up no longer."""
PORTER_THREADS = 4
"""So many questions at once: one guest who says nothing does not keep others waiting."""
PORTER_QUESTION_BYTES_MAX = 4 * KIB
PORTER_ANSWER_BYTES_MAX = 64 * MIB
"""10,000 sessions with long paths."""
CURSOR_CHARS_MAX = 16_000
"""Of a page's ``next``, in ASCII: a path of 4,096 bytes takes 12,288 of them, and as a parameter each may take three,
which an address of 64 KiB has room for."""
