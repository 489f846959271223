"""Files: readers of spectra, SEDs with their covariance, downloads."""
