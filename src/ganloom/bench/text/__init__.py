"""The oracle benchmark of SeqGAN: text GANs against maximum likelihood with a temperature, on a known distribution."""
