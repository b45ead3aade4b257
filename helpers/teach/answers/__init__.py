"""The judges of the exercises, a module per notebook; importing one registers its judges."""
