"""Use cases, one file each: gather facts, call a pure function, save, commit once."""
