"""What each notebook says about its measurements: a module per notebook, sentences chosen by the numbers."""
