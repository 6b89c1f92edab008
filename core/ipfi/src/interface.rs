//! The procedures that one side offers.

use std::{collections::HashMap, fmt, future::Future, sync::Arc};

use ipfi_proto::{Code, MAX_NAME};

use crate::{
    ArgumentReader, Context, Fault, Handler, Raw, Reply, Shape, Value, arguments,
    describe::{Description, ProcedureDescription},
    handler::Erased,
    queue::{Admission, Bound, Permit},
    raw,
    serve::Procedure,
    shape::{fingerprint, shape_of, signature},
};

/// The procedures that one side offers to its peers. Many wires share one.
///
/// ```
/// use ipfi::Interface;
/// let interface = Interface::new()
///     .procedure("add", |a: i64, b: i64| a + b)
///     .procedure("later", async |n: u8| n + 1);
/// assert_eq!(interface.names().collect::<Vec<_>>(), ["add", "later"]);
/// ```
#[derive(Default)]
pub struct Interface {
    procedures: Vec<Entry>,
    by_name: HashMap<String, usize>,
    bound: Bound,
    private: bool,
    description: std::sync::OnceLock<Arc<Description>>,
}

struct Entry {
    name: String,
    signature: String,
    doc: String,
    fingerprint: u64,
    serve: Procedure,
    /// It takes its arguments as they come.
    streaming: bool,
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.procedures.iter().map(|entry| (&entry.name, &entry.signature));
        f.debug_map().entries(entries).finish()
    }
}

impl Interface {
    /// An interface that offers nothing but its description.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a procedure under a name of at most 255 bytes. A second one of the same name
    /// replaces the first.
    ///
    /// It runs in the driver of its wire until it has to wait, so it should not block; see
    /// [`blocking`](Self::blocking).
    #[must_use]
    pub fn procedure<M>(self, name: impl Into<String>, handler: impl Handler<M>) -> Self {
        self.insert(name.into(), handler.erase())
    }

    /// Offers a plain function that may block or take long: it runs on a thread of its own.
    #[must_use]
    pub fn blocking<M>(self, name: impl Into<String>, handler: impl Handler<M>) -> Self {
        self.insert(name.into(), handler.erase_blocking())
    }

    /// Offers a procedure that takes and gives encoded values, with the streams and callbacks beside
    /// them. It matches any signature. Its future is dropped if the caller gives up.
    ///
    /// ```
    /// # use ipfi::{Interface, Wire};
    /// // Passes every call of "far" on to another wire, whatever it takes and gives.
    /// fn proxy(to: Wire) -> Interface {
    ///     Interface::new().raw("far", move |_, args| {
    ///         let call = to.call_raw("far", args).start();
    ///         async move { Ok(call.await?) }
    ///     })
    /// }
    /// # let _ = proxy;
    /// ```
    #[must_use]
    pub fn raw<F, Fut>(self, name: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Context, Raw) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Raw, Fault>> + Send + 'static,
    {
        self.insert_raw(name.into(), raw::faulty(handler), false)
    }

    /// Offers a procedure that takes its arguments as they come, in any number of bytes, and runs
    /// from the first of them on: see [`ArgumentReader`], where there is an example. Its future is
    /// dropped if the caller gives up. If it returns before its arguments are complete, the rest is
    /// not sent.
    #[must_use]
    pub fn streaming<A, K, F, Fut>(self, name: impl Into<String>, handler: F) -> Self
    where
        A: Value + 'static,
        K: 'static,
        F: Fn(Context, ArgumentReader<A>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Reply<K>> + Send + 'static,
    {
        let (args, result) = (shape_of::<A>(), <Fut::Output as Reply<K>>::shape());
        let serve = arguments::streaming(handler);
        let mut this = self.insert(name.into(), Erased { args, result, serve });
        if let Some(entry) = this.procedures.last_mut() {
            entry.streaming = true;
        }
        this
    }

    /// The same with encoded arguments and an encoded result: it matches any signature.
    ///
    /// ```
    /// # use ipfi::{Interface, Raw, Wire};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
    /// let server = Interface::new().raw_streaming("count", async |_, mut args| {
    ///     let mut bytes = 0u8;
    ///     while let Some(chunk) = args.chunk().await? {
    ///         bytes += chunk.len() as u8;
    ///     }
    ///     Ok(Raw::new([bytes]))
    /// });
    /// let (wire, _other) = Wire::pair(Interface::new(), server);
    /// let mut call = wire.call_raw("count", vec![1, 2, 3]).in_parts()?;
    /// call.bytes(&[4, 5]).await?;
    /// assert_eq!(call.finish().await?.payload, [5]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn raw_streaming<F, Fut>(self, name: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Context, ArgumentReader) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Raw, Fault>> + Send + 'static,
    {
        self.insert_raw(name.into(), arguments::raw_streaming(handler), true)
    }

    /// Says what the procedure that was added last by [`raw`](Self::raw) takes and gives, as another
    /// peer described it. If its fingerprint is not 0, callers are compared with it.
    #[must_use]
    pub fn described(mut self, like: &ProcedureDescription) -> Self {
        if let Some(entry) = self.procedures.last_mut() {
            entry.signature.clone_from(&like.signature);
            entry.doc.clone_from(&like.doc);
            entry.fingerprint = like.fingerprint;
        }
        self
    }

    /// Documents the procedure that was added last, for [`describe`](crate::Wire::describe).
    #[must_use]
    pub fn doc(mut self, text: impl Into<String>) -> Self {
        if let Some(entry) = self.procedures.last_mut() {
            entry.doc = text.into();
        }
        self
    }

    /// Adds everything that another interface offers.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for entry in other.procedures {
            self.put(entry);
        }
        self
    }

    /// At most so many procedures run at once, over all wires together; further calls
    /// [wait](Self::max_waiting) for their turn. For each wire,
    /// [`Limits::max_calls`](crate::Limits::max_calls) says it. [`describe`](crate::Wire::describe) is
    /// answered whatever runs.
    #[must_use]
    pub fn max_running(mut self, max: u32) -> Self {
        self.bound.max = Some(max);
        self
    }

    /// At most so many calls wait for [`max_running`](Self::max_running), first come, first served;
    /// further ones are refused with [`Code::REFUSED`] and did not start. Their arguments count as
    /// held for their peer ([`Limits::max_buffered`](crate::Limits::max_buffered)). Default 1024.
    #[must_use]
    pub fn max_waiting(mut self, max: usize) -> Self {
        self.bound.max_waiting = max;
        self
    }

    /// Does not tell peers what there is: they have to know.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// The names of all procedures, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.procedures.iter().map(|entry| entry.name.as_str())
    }

    fn insert(self, name: String, erased: Erased) -> Self {
        let Erased { args, result, serve } = erased;
        let mut this = self;
        this.put(Entry {
            name,
            signature: signature(&args, &result),
            doc: String::new(),
            fingerprint: fingerprint(&args, &result),
            serve,
            streaming: false,
        });
        this
    }

    /// One of which nobody knows what it takes and gives.
    fn insert_raw(mut self, name: String, serve: Procedure, streaming: bool) -> Self {
        let signature = signature(&Shape::Any, &Shape::Any);
        let doc = String::new();
        self.put(Entry { name, signature, doc, fingerprint: 0, serve, streaming });
        self
    }

    fn put(&mut self, entry: Entry) {
        debug_assert!(entry.name.len() <= MAX_NAME, "a name of a procedure is too long");
        // A replaced one moves to the end, so that `doc` finds it there.
        if let Some(index) = self.by_name.remove(&entry.name) {
            self.procedures.remove(index);
            for other in self.by_name.values_mut().filter(|other| **other > index) {
                *other -= 1;
            }
        }
        self.by_name.insert(entry.name.clone(), self.procedures.len());
        self.procedures.push(entry);
    }

    /// The procedure that a peer means.
    pub(crate) fn find(&self, name: &str, fingerprint: u64) -> Result<usize, (Code, String)> {
        if name == crate::describe::NAME && !self.private {
            return Ok(usize::MAX);
        }
        let Some(&index) = self.by_name.get(name) else {
            return Err((Code::NO_SUCH_PROCEDURE, format!("{name:?}")));
        };
        match self.procedures.get(index) {
            Some(entry) if [0, entry.fingerprint].contains(&fingerprint) => Ok(index),
            Some(entry) if entry.fingerprint == 0 => Ok(index),
            Some(entry) => {
                let text = format!("{name:?} is {}", entry.signature);
                Err((Code::SIGNATURE_MISMATCH, text))
            }
            None => Err((Code::NO_SUCH_PROCEDURE, format!("{name:?}"))),
        }
    }

    #[inline]
    pub(crate) fn serve(&self, index: usize) -> Option<&Procedure> {
        match self.procedures.get(index) {
            Some(entry) => Some(&entry.serve),
            None if index == usize::MAX => Some(crate::describe::procedure()),
            None => None,
        }
    }

    /// Whether a procedure takes its arguments as they come.
    pub(crate) fn takes_arguments(&self, index: usize) -> bool {
        self.procedures.get(index).is_some_and(|entry| entry.streaming)
    }

    pub(crate) fn any_takes_arguments(&self) -> bool {
        self.procedures.iter().any(|entry| entry.streaming)
    }

    #[inline]
    pub(crate) fn admit(&self, procedure: &Procedure) -> Admission {
        // What there is can be asked for whatever runs.
        if self.bound.max.is_some() && std::ptr::eq(procedure, crate::describe::procedure()) {
            return Admission::Now(Permit::default());
        }
        self.bound.admit()
    }

    /// What peers are told.
    pub(crate) fn description(&self) -> &Arc<Description> {
        self.description.get_or_init(|| {
            let procedures = self.procedures.iter().map(|entry| ProcedureDescription {
                name: entry.name.clone(),
                signature: entry.signature.clone(),
                doc: entry.doc.clone(),
                fingerprint: entry.fingerprint,
            });
            Arc::new(Description::new(procedures.collect()))
        })
    }
}
