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

# --- data --------------------------------------------------------------------------------------------------------
MAX_IMAGE_PIXELS = 100_000_000  # a 100-megapixel camera; beyond it a small file may claim all memory
MAX_IMAGES = 2_000_000  # ImageNet and a half
MAX_LABEL_NAMES = 100_000  # ImageNet-21k four times over

# --- encrypted bundles -------------------------------------------------------------------------------------------
MAX_AGE_RECIPIENTS = 512  # devices of one encrypted bundle; each takes 100 bytes of its header
MAX_AGE_HEADER_BYTES = (
    64 * 1024
)  # so many and some; the library's time grows with the square: 0.4 s here, seconds on a Pi
MAX_AGE_KEY_FILE_BYTES = MIB  # a file of recipients: so many lines of 63 characters, with comments

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
