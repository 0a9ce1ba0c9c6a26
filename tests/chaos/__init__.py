"""The fault campaign: schedules of faults over the real core, and what must hold whatever happens."""
