"""What stands between the internet and the model: limits, uploads, live sound, REST and MCP."""
