"""Pure wire protocol: frames, codecs, close codes, the session state machine, WebSocket bytes."""
