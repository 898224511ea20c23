//! Decodes one received message, and checks that exactly its own encoding is received.

use proto::transport::codec::Received;

/// The message of `bytes`, whether or not they are its own encoding.
pub fn received<T: Received>(bytes: &[u8]) -> Option<T> {
    let decoded = T::decode(bytes).ok();
    match T::receive(bytes.to_vec().into()) {
        // Encodings are compared, because a float that is not a number does not equal itself.
        Ok(message) => {
            assert!(message.encode_to_vec() == bytes);
            assert!(decoded.as_ref().is_some_and(|decoded| decoded.encode_to_vec() == bytes));
        }
        Err(error) => {
            assert!(error.to_string().len() < 2000, "a refusal is a sentence");
            // A message of more fields than bytes are here is refused for their number.
            let its_own = decoded.as_ref().is_some_and(|message| message.encode_to_vec() == bytes);
            assert!(!its_own || bytes.len() > 1 << 16, "{error}");
        }
    }
    decoded
}
