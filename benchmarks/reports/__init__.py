"""What is read: tables, pictures, JSON, pages."""
