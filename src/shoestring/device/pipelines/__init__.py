"""From a camera, a file or a text to results, in real time."""
