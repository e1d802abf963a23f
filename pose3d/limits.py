"""How much a file of a stranger may ask for: every limit, in one table.

Each is well above real work (ten hours of video, 8K frames, hundreds of people in one, gigabytes of
keypoints) and well below what would fill a machine. Where a small file can claim a lot, what it
may claim grows with its size instead (:func:`unpacked`, :func:`rows`).
"""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# --- Pictures and videos --------------------------------------------------------------------------
FRAME_PIXELS = 8192 * 4608  # of a video's frame, of which a decoder holds up to 17: 8K, and wider
THREADED_PIXELS = 4096 * 2304  # of frames of which each core may decode another, and hold it
PICTURE_PIXELS = 1 << 27  # of a single picture: phones have 108 million
PICTURE_BYTES = GIB
HOURS = 7 * 24  # a video's latest frame
FRAMES = 20_000_000  # of one video: ten hours at 500 a second
SIDE = 1 << 20  # pixels, that a file says of its video's width or height
RATE = 1e6  # frames a second, that a file says of its video

# --- People ---------------------------------------------------------------------------------------
PEOPLE_A_FRAME = 1000
PEOPLE = 100_000  # in a recording
NUMBER = 1 << 31  # of a person
JOINTS = 1000  # of one person, in another tool's file
COORDINATE = 1e9  # pixels or metres
ROWS, ROWS_A_SIGHT = 2_000_000, 100  # see `rows`

# --- Archives of arrays (recordings, keypoints, journals) -----------------------------------------
MEMBERS = 12 * PEOPLE
UNPACKED_BYTES = 256 * MIB, 64 * GIB  # see `unpacked`
UNPACKED_RATIO = 100
HEADER_BYTES = 10_000  # of one array
DIMENSIONS = 8
RECORD_BYTES = 256 * MIB  # of a journal

# --- Text -----------------------------------------------------------------------------------------
KEYPOINT_BYTES = 4 * GIB  # JSON or CSV of another tool
KEYPOINT_FRAME_BYTES = 16 * MIB  # one of OpenPose's files
META_BYTES = 64 * MIB  # a recording's facts
JSON_DEPTH = 64
LIST_BYTES = 64 * MIB  # of files, a line each
COLUMNS = 2000  # of a table
CAMERA_BYTES = MIB
TOML_BYTES = 128 * KIB  # long dotted keys take time that grows with their square
NAME = 1000  # characters of a video's name
FILE_NAME = 150  # characters of a name that is made of a URL's: more is added to it

# --- Weights --------------------------------------------------------------------------------------
WEIGHTS_BYTES = 8 * GIB  # also of a download: a stream without an end stops here
PICKLE_OPERATIONS = 300_000  # ten times what the largest public files take
TORCH_ENTRIES = 20_000  # of a zip archive that torch wrote
YAML_BYTES, YAML_NESTING = 64 * KIB, 50  # real ones have 10,000; deeper ones take PyYAML seconds
LAYERS = 99  # of anything that is counted in a network


def unpacked(size: int) -> int:
    """Bytes to which an archive of `size` bytes may unpack: in proportion, and what costs little.

    Real keypoints become half as large; deflate can make them a thousandth.
    """
    least, most = UNPACKED_BYTES
    return min(max(least, UNPACKED_RATIO * size), most)


def rows(sights: int) -> int:
    """Rows that people may have together who are seen so often: gaps are filled, frame by frame."""
    return max(ROWS, ROWS_A_SIGHT * sights)


def in_words(count: int) -> str:
    """A number of bytes for a message."""
    for size, unit in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} bytes"
