"""The rules of the desk: pure, standard library only, no input or output."""
