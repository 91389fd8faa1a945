"""What is made of published files: tables, quality, pictures, reports, estimates."""
