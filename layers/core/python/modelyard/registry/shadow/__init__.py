"""Shadow versions: asked with what the champion is asked, compared, never shown."""
