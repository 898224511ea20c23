//! The cipher of a connection: AES-128-GCM where both ends have instructions for it, else ChaCha20-Poly1305.
//!
//! Every byte of a tensor is encrypted once and decrypted once. With the instructions, AES-128-GCM is the faster cipher;
//! without them, it is several times slower than ChaCha20-Poly1305. Both are safe.

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256,
};
use tokio_rustls::rustls::crypto::ring::default_provider;

/// Whether this host's CPU has instructions for AES and for GCM's products.
pub(super) fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

/// rustls' provider as both ends of a connection use it on this host.
pub fn provider() -> CryptoProvider {
    preferring(has_aes())
}

/// rustls' provider with the ciphers in the order of preference of a host with or without instructions for AES. The
/// client's order holds, unless the server is without.
pub(super) fn preferring(aes: bool) -> CryptoProvider {
    let mut cipher_suites = vec![TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256];
    if !aes {
        cipher_suites.reverse();
    }
    CryptoProvider { cipher_suites, ..default_provider() }
}

#[cfg(test)]
mod tests {
    use super::super::client::secure;
    use super::super::fixtures::Ca;
    use super::super::{Callers, Secured, Security, receive};
    use crate::link::{Peer, Role};
    use crate::transport::listener::Accepted;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::rustls::CipherSuite;

    #[tokio::test]
    async fn aes_is_chosen_where_both_ends_have_instructions_for_it() {
        let (ca, folder) = (Ca::new("lab"), tempfile::tempdir().unwrap());
        let below = ca.credentials(folder.path(), "neuropil:lab:coordinator");
        let stage = ca.credentials(folder.path(), "neuropil:lab:stage:0");
        let fast = CipherSuite::TLS13_AES_128_GCM_SHA256;
        let portable = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
        for (client, server, due) in
            [(true, true, fast), (true, false, portable), (false, true, portable), (false, false, portable)]
        {
            let client = Security::choosing(&below, client).unwrap();
            let callers = Callers::of(&Security::choosing(&stage, server).unwrap(), vec![Role::Coordinator]);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let dialled = async {
                let stream = TcpStream::connect(address).await.unwrap();
                secure(stream, &client, Peer::stage(0).at(address.to_string()))
                    .await
                    .map(|(stream, _)| stream)
            };
            let accepted =
                async { receive(Accepted::Tcp(listener.accept().await.unwrap().0), &callers).await };
            let (dialled, accepted) = tokio::join!(dialled, accepted);
            let ends = [dialled.unwrap(), accepted.ok().expect("a handshake").0];
            let suites = ends.map(|end| match end {
                Secured::Tls(stream) => {
                    stream.get_ref().1.negotiated_cipher_suite().map(|suite| suite.suite())
                }
                Secured::Plain(_) | Secured::Unix(_) => None,
            });
            assert_eq!(suites, [Some(due); 2]);
        }
    }
}
