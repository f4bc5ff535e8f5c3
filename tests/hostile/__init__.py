"""What others write is text: three hundred hostile words in every place where somebody else's words can stand."""
