"""Every cap in the project, with its reason. Sizes in bytes, times in seconds."""

MIB = 1024 * 1024
GIB = 1024 * MIB

# --- models ------------------------------------------------------------------------------------------------------
MAX_MODEL_BYTES = 2 * GIB  # protobuf cannot hold more in one message; nothing larger runs on the boards we serve
MAX_GRAPH_NODES = 50_000  # a 1,000-layer network unrolled has fewer; more is an attack or a loop unrolled by mistake
IMPORT_SECONDS = 300.0  # a 19 MB model takes one second; this leaves the largest the same time a byte, twice over
IMPORT_MEMORY_BYTES = 8 * GIB  # address space of the parsing child: four times the largest model
MAX_ARCHIVE_MEMBERS = 20_000  # of a model archive: a file a weight, and the largest networks have some thousands
MAX_ARCHIVE_EXPANSION = 100  # of one member; the text of a program shrinks to a tenth
MAX_NOTES, MAX_NOTE_CHARACTERS = 50, 1_000  # what a child that ran foreign code may say

# --- files of weights without a graph (GGUF, safetensors) -----------------------------------------------------------
MAX_WEIGHTS_FILE_BYTES = 64 * GIB  # only headers are read; no board that we know holds more memory
MAX_GGUF_HEADER_BYTES = 128 * MIB  # a vocabulary of 262,144 words with its merges and scores takes 20 MB
MAX_SAFETENSORS_HEADER_BYTES = 32 * MIB  # some 120 bytes a tensor; the format's own library allows 100 MB
MAX_STORED_TENSORS = 100_000  # a mixture of experts of 60 layers x 256 experts, stored one by one, has 50,000
MAX_METADATA_KEYS = 4_096  # published files have 20 to 60
MAX_METADATA_TEXT_BYTES = MIB  # of one text: chat templates have 10 to 60 kB
MAX_METADATA_KEPT = 8  # elements of an array that are kept; the rest is counted
MAX_TENSOR_NAME_BYTES = 512  # GGUF allows 64; safetensors sets no limit, and nested modules have names of 150
MAX_TENSOR_AXES = 16  # GGUF has 4, numpy 64; published weights have at most 6
MAX_SHARDS = 1_024  # of a safetensors model: the largest published ones have 200

# --- data --------------------------------------------------------------------------------------------------------
MAX_IMAGE_PIXELS = 100_000_000  # a 100-megapixel camera; beyond it a small file may claim all memory
MAX_TEXTS = 2_000_000  # as MAX_IMAGES
MAX_TEXT_BYTES = 4 * MIB  # of one text: a long novel takes one
MAX_TEXT_TOKENS = 1 << 20  # of one context: the longest that published models claim
MAX_TOKENIZER_BYTES = 64 * MIB  # a vocabulary of 262,144 words with its merges takes 33 MB as JSON
MAX_IMAGES = 2_000_000  # ImageNet and a half
MAX_LABEL_NAMES = 100_000  # ImageNet-21k four times over

# --- bundles -----------------------------------------------------------------------------------------------------
MAX_BUNDLE_BYTES = 4 * GIB  # the zip format's limit without 64-bit extensions, which we do not write
MAX_UNPACKED_BYTES = 4 * GIB  # of all blobs together, expanded: the time that opening may take
MAX_EXPANSION = 100  # of one blob: a small file cannot claim much memory; models shrink to a half at best
MAX_MANIFEST_BYTES = 4 * MIB  # a manifest takes 10 to 50 kB, and MAX_LABEL_NAMES names 2 MB
MAX_MANIFEST_VALUES = 300_000  # commas, colons, brackets: each may become an object many times its size in the file
MAX_EVIDENCE_BYTES = 64 * MIB  # about 200 bytes a scored image: six times ImageNet's validation split
MAX_BOM_BYTES = 4 * MIB  # a bill of materials takes some 5 kB a rung; it says no more than manifest and evidence do
MAX_BOM_VALUES = 300_000  # as MAX_MANIFEST_VALUES
MAX_BLOBS = 4_096  # rungs x files each, with room
MAX_PATCHED_BYTES = 64 * MIB  # a larger blob is sent whole: a search takes 17 times its size in memory
GOLDEN_INPUTS = 32  # enough to see a wrong kernel, few enough to replay in a second on a Pi

# --- signatures --------------------------------------------------------------------------------------------------
MAX_SIGNATURES = 16  # of one bundle: more people than any policy we know of asks for
MAX_ENVELOPE_BYTES = 64 * 1024  # a statement of 100 rungs takes 14 kB, sixteen signatures 3 kB

# --- encrypted bundles -------------------------------------------------------------------------------------------
MAX_AGE_RECIPIENTS = 512  # devices of one encrypted bundle; each takes 100 bytes of its header
MAX_AGE_HEADER_BYTES = 64 * 1024  # so many; the library takes the square of it: 0.4 s here, seconds on a Pi
MAX_AGE_KEY_FILE_BYTES = MIB  # a file of recipients: so many lines of 63 characters, with comments

# --- child processes ---------------------------------------------------------------------------------------------
MAX_CHILD_REPLY_BYTES = 256 * MIB  # replies are JSON; tensors travel as files
MAX_CHILD_STDERR_BYTES = 64 * 1024  # the tail kept for the error message

# --- guarded engines ---------------------------------------------------------------------------------------------
GUARD_LOAD_SECONDS = (
    300.0  # an engine that compiles for the device takes tens of seconds on a Pi 4; this is ten times it
)
GUARD_RUN_SECONDS = 60.0  # YOLOv3-416 takes 5 to 10 s on one core of a Pi 4
MAX_GUARD_CHATTER_BYTES = 16 * MIB  # words on stderr within one request: an engine that says more is broken

# --- ncnn files --------------------------------------------------------------------------------------------------
MAX_NCNN_HEAD_BYTES = MIB  # names and shapes of ports: some 100 bytes each
MAX_NCNN_PARAM_BYTES = 8 * MIB  # 100 to 200 bytes a layer: the layers below, with long names
MAX_NCNN_LAYERS = 50_000  # as MAX_GRAPH_NODES
MAX_NCNN_BLOB_BYTES = GIB  # of one activation; a 4K picture in 32 channels of float32, which no cheap chip runs
MAX_NCNN_SIDE = 1 << 24  # of one axis, kernel, stride or padding: their products stay far from 64 bits

# --- signed repositories -----------------------------------------------------------------------------------------
MAX_ROOT_BYTES = 512_000  # as python-tuf's client: a thousand keys
MAX_TIMESTAMP_BYTES = 16_384  # as python-tuf's client: names one file
MAX_SNAPSHOT_BYTES = 2_000_000  # as python-tuf's client: some 100 bytes a role
MAX_TARGETS_BYTES = 5_000_000  # as python-tuf's client: some 200 bytes a bundle or delta, 20,000 of them
MAX_METADATA_VALUES = 250_000  # commas, colons, brackets: some ten a target; each may become an object in memory
MAX_METADATA_TEXT = 4_096  # characters of one string; a PEM key of 4,096 bits has 800
MAX_ROOT_ROTATIONS = 256  # followed in one refresh, as python-tuf's client: one a week for five years
MAX_VISITED_ROLES = 32  # on the way to one target, as python-tuf's client: ours are two deep
MAX_ROLE_NAME = 128  # characters: it becomes part of a file's name
MAX_RELEASE_BYTES = 64 * 1024  # 200 bytes a delta and 70 a revoked hash: the two limits below
MAX_RELEASE_DELTAS = 100  # one from each of the last hundred bundles
MAX_RELEASE_REVOKED = 500  # a bundle revoked each week, ten years long
CONNECT_SECONDS = 20.0  # until a server is reached; a satellite link takes two
SILENCE_SECONDS = 30.0  # between two pieces; mobile links are silent for ten when they change cells
METADATA_SECONDS = 120.0  # one file of metadata, from the first byte of the request to the last of the answer
RATE_WINDOW_SECONDS, MIN_BYTES_A_WINDOW = 60.0, 60_000  # a download slower than GPRS goes on at the next poll
DOWNLOAD_PIECE_BYTES = 4 * MIB  # held in memory, then on the disk: a thousand fsyncs for the largest bundle
