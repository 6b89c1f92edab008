//! Encoded values, and the streams and callbacks beside them.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use ipfi::{
    Callback, Code, Codec, Fault, Interface, Raw, RawHandle, Receiver, Sender, Started, Wire,
    channel,
};
use serde::{Serialize, de::DeserializeOwned};

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Codec::Bincode.encode(value, &mut bytes).unwrap();
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
    Codec::Bincode.decode(bytes).unwrap()
}

fn typed() -> Interface {
    Interface::new()
        .procedure("add", |a: i64, b: i64| a + b)
        .procedure("scale", async |mut numbers: Receiver<u32>, by: u32, out: Sender<u32>| {
            while let Some(n) = numbers.recv().await? {
                out.send(n * by).await?;
            }
            Ok::<(), Fault>(())
        })
        .procedure("twice", async |f: Callback<(u32,), u32>, x: u32| {
            Ok::<u32, Fault>(f.call((f.call((x,)).await?,)).await?)
        })
        .procedure("adder", |n: u32| Callback::<(u32,), u32>::new(move |m: u32| n + m))
}

#[tokio::test]
async fn typed_procedures_are_called_with_encoded_arguments_and_handles() {
    let (wire, other) = Wire::pair(Interface::new(), typed());
    let five = wire.call_raw("add", encode(&(2i64, 3i64))).await.unwrap();
    assert_eq!((decode::<i64>(&five.payload), five.handles.len()), (5, 0));

    let (numbers, theirs) = channel::<Raw>(4);
    let (to, mut scaled) = channel::<Raw>(4);
    let args = Raw::new(encode(&(0u32, 10u32, 1u32))).with(theirs).with(to);
    let call = wire.call_raw("scale", args).start();
    for n in 0..1000u32 {
        numbers.send(Raw::new(encode(&n))).await.unwrap();
        let item = scaled.recv().await.unwrap().unwrap();
        assert_eq!(decode::<u32>(&item.payload), 10 * n);
    }
    drop(numbers);
    assert!(scaled.recv().await.unwrap().is_none());
    assert!(call.await.unwrap().payload.is_empty());

    let callback = Callback::raw(async |_, raw: Raw| {
        let (x,): (u32,) = decode(&raw.payload);
        Ok(Raw::new(encode(&(x + 1))))
    });
    let args = Raw::new(encode(&(0u32, 40u32))).with(callback);
    let result = wire.call_raw("twice", args).await.unwrap();
    assert_eq!(decode::<u32>(&result.payload), 42);

    let mut result = wire.call_raw("adder", encode(&(40u32,))).await.unwrap();
    assert_eq!(decode::<u32>(&result.payload), 0);
    let Some(RawHandle::Callback(add)) = result.handles.pop() else { panic!("{result:?}") };
    let sum = add.call(Raw::new(encode(&(2u32,)))).await.unwrap();
    assert_eq!(decode::<u32>(&sum.payload), 42);
    drop(add);
    wire.ping().await.unwrap();
    wire.ping().await.unwrap();
    assert_eq!(other.stats().exported_callbacks, 0);
}

#[tokio::test]
async fn raw_procedures_serve_typed_callers() {
    let (told, mut was_dropped) = tokio::sync::mpsc::channel::<()>(1);
    let server = Interface::new()
        .raw("echo", async |_, raw| Ok(raw))
        .raw("fail", async |_, _| Err(Fault::new("no").with_code(Code(300))))
        .raw("hang", move |context, _| {
            let told = told.clone();
            async move {
                let _told = told;
                assert_eq!(context.cancelled(), None);
                std::future::pending().await
            }
        });
    let (wire, other) = Wire::pair(Interface::new(), server);
    assert_eq!(wire.call::<(u8, String)>("echo", (7u8, "x")).await.unwrap(), (7, "x".into()));
    let error = wire.call::<u8>("fail", ()).await.unwrap_err();
    assert_eq!((error.code(), error.started()), (Code(300), Started::Yes));
    // What comes back is the caller's own half, by way of the peer.
    let (sender, receiver) = channel::<u32>(4);
    let (mut back,): (Receiver<u32>,) = wire.call("echo", (receiver,)).await.unwrap();
    sender.send(5).await.unwrap();
    assert_eq!(back.recv().await.unwrap(), Some(5));
    drop(sender);
    assert_eq!(back.recv().await.unwrap(), None);
    // A caller that gives up.
    let late = wire.call::<()>("hang", ()).deadline(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(late.code(), Code::DEADLINE);
    drop((wire, other));
    assert!(was_dropped.recv().await.is_none());
}

#[tokio::test]
async fn what_was_described_can_be_offered_again() {
    let (near, _far) = Wire::pair(Interface::new(), typed());
    let mut proxy = Interface::new();
    for procedure in near.describe(&[]).await.unwrap().procedures {
        let (to, name) = (near.clone(), procedure.name.clone());
        proxy = proxy
            .raw(procedure.name.clone(), move |_, args| {
                let call = to.call_raw(&name, args).start();
                async move { Ok(call.await?) }
            })
            .described(&procedure);
    }
    let (wire, _proxy) = Wire::pair(Interface::new(), proxy);
    assert_eq!(wire.describe(&[]).await.unwrap(), near.describe(&[]).await.unwrap());
    assert_eq!(wire.call::<i64>("add", (2i64, 3i64)).await.unwrap(), 5);
    let error = wire.call::<i64>("add", (2u64, 3u64)).await.unwrap_err();
    assert_eq!(error.code(), Code::SIGNATURE_MISMATCH);
    let add: Callback<(u32,), u32> = wire.call("adder", (1u32,)).await.unwrap();
    assert_eq!(wire.call::<u32>("twice", (add, 40u32)).await.unwrap(), 42);
}
