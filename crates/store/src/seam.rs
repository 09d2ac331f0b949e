//! What others need of a store, so that another database can stand behind it.

use std::future::Future;
use std::pin::Pin;

use crate::{ChainError, Receipt, Store, StoreError, StoredResponse};

/// An answer that is on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Stored responses, wherever they are kept. [`Store`] says what each method promises.
pub trait Responses: Send + Sync {
    /// Keeps a response; one of the same id is replaced.
    fn put(&self, response: StoredResponse) -> Pending<'_, Result<(), StoreError>>;

    /// The response of this id.
    fn get<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Option<StoredResponse>, StoreError>>;

    /// The response of this id and all that it goes on from, the root first.
    fn chain<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Vec<StoredResponse>, ChainError>>;

    /// The item of this id, in whichever response it stands, as its JSON text.
    fn item<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Option<String>, StoreError>>;

    /// Removes a response; `false` when there is none of this id.
    fn delete<'a>(&'a self, id: &'a str) -> Pending<'a, Result<bool, StoreError>>;
}

/// Where receipts go.
pub trait ReceiptSink: Send + Sync {
    /// Keeps a receipt, without waiting.
    fn put_receipt(&self, receipt: Receipt);
}

impl Responses for Store {
    fn put(&self, response: StoredResponse) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(Store::put(self, response))
    }

    fn get<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Option<StoredResponse>, StoreError>> {
        Box::pin(Store::get(self, id))
    }

    fn chain<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Vec<StoredResponse>, ChainError>> {
        Box::pin(Store::chain(self, id))
    }

    fn item<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Option<String>, StoreError>> {
        Box::pin(Store::item(self, id))
    }

    fn delete<'a>(&'a self, id: &'a str) -> Pending<'a, Result<bool, StoreError>> {
        Box::pin(Store::delete(self, id))
    }
}

impl ReceiptSink for Store {
    fn put_receipt(&self, receipt: Receipt) {
        Store::put_receipt(self, receipt);
    }
}
