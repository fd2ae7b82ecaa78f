"""What a run is: specs, suites, overrides, plugins; read, checked and named before anything is made."""
