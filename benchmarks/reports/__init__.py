"""Reports for readers: tables, pictures, JSON, pages of docs."""
