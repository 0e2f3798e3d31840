//! What the generated clients share: secrets, open enums, lenient numbers, bounded decoding, retries.
