"""`ganloom bench modes`: methods against mode collapse, measured on data whose modes are known."""
