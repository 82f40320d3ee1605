"""`unique-cs serve --workers N`: several processes of one machine behind the same ports."""
