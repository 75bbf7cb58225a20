"""The web page: its tabs, its texts and its server. Recognition itself is in `ser_core`."""
