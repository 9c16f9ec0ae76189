//! Values as order-preserving bytes.
