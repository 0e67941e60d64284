"""Models fitted on labelled texts and conversations: arrays in, small models out, no files kept."""
