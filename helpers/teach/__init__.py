"""What only a notebook needs: predictions, exercises, the class."""
