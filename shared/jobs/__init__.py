"""What every long job needs: whole files, one lock, workers, progress, an orderly end."""
