"""How far each medium is, and who does what: in DynamoDB or SQLite."""
