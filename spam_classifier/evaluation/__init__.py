"""What training and testing leave behind: figures, tables, texts."""
