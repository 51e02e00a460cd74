"""Speed and quality, ours beside the peers', and the scenes that they are judged on."""
