//! Streaming speech recognition with the Neural Transducer (Jaitly et al., NIPS 2016).
