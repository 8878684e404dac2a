"""What all figures are drawn with: theme, axes, marks, lines, labels."""
