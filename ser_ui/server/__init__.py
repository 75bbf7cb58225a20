"""The server side of the page: request limits, uploads, live audio, REST and MCP."""
