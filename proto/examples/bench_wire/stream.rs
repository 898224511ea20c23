//! TCP, or TLS over TCP: one end writes the bytes of every message, and the other end reads them into one buffer.

use super::certificates::Files;
use super::clock::{Clock, Measured};
use super::{Ends, Load, Outcome};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// MB/s over TCP; over TLS where there are files for it.
pub fn measure(ends: &Ends, files: Option<&Files>, load: Load) -> Outcome<Measured> {
    let listener = ends.receiver.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let connector = files.map(Files::connector).transpose()?;
    let sent = ends.sender.spawn(async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        match connector {
            None => write(stream, load).await,
            Some(connector) => write(connector.connect(address.ip().into(), stream).await?, load).await,
        }
    });
    let acceptor = files.map(Files::acceptor).transpose()?;
    let measured = ends.receiver.block_on(ends.receiver.spawn(async move {
        let (stream, _) = listener.accept().await?;
        match acceptor {
            None => read(stream, load).await,
            Some(acceptor) => read(acceptor.accept(stream).await?, load).await,
        }
    }))??;
    ends.sender.block_on(sent)??;
    Ok(measured)
}

async fn write(mut stream: impl AsyncRead + AsyncWrite + Unpin, load: Load) -> Outcome<()> {
    let bytes = vec![7; load.bytes];
    for _ in 0..load.messages() {
        stream.write_all(&bytes).await?;
    }
    stream.flush().await?;
    // The reader closes first. TLS has sent tickets to this end, and a socket that closes before they are read resets the
    // connection, which takes from the reader what it has not read yet.
    _ = stream.read(&mut [0]).await;
    Ok(())
}

async fn read(mut stream: impl AsyncRead + Unpin, load: Load) -> Outcome<Measured> {
    let mut bytes = vec![0; load.bytes];
    let mut clock = Clock::new(load);
    for _ in 0..load.messages() {
        stream.read_exact(&mut bytes).await?;
        clock.arrived()?;
    }
    clock.measured()
}
