"""What every role of the template allows, and which test fails without it: docs/permissions.md is written from here."""
