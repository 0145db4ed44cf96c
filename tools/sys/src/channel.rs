// SPDX-License-Identifier: GPL-2.0

//! A pair of connected ends that carry bytes and descriptors between processes.

use rustix::net::{
    self, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// One end.
#[derive(Debug)]
pub struct Channel(UnixStream);

impl Channel {
    /// Makes two connected ends.
    pub fn pair() -> io::Result<(Self, Self)> {
        UnixStream::pair().map(|(a, b)| (Self(a), Self(b)))
    }

    /// Sends a message.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        let len = u32::try_from(message.len()).map_err(io::Error::other)?;
        (&self.0).write_all(&len.to_ne_bytes())?;
        (&self.0).write_all(message)
    }

    /// Waits for a message; fails with `UnexpectedEof` if the other end is closed.
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        let mut len = [0; 4];
        (&self.0).read_exact(&mut len)?;
        let mut message = vec![0; u32::from_ne_bytes(len) as usize];
        (&self.0).read_exact(&mut message)?;
        Ok(message)
    }

    /// Sends a number.
    pub fn send_u64(&self, value: u64) -> io::Result<()> {
        self.send(&value.to_ne_bytes())
    }

    /// Waits for a number.
    pub fn receive_u64(&self) -> io::Result<u64> {
        let message = self.receive()?;
        let bytes = message.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Sends a descriptor (`SCM_RIGHTS`): the other end gets a new one of the same open file.
    pub fn send_fd(&self, fd: impl AsFd) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd.as_fd()];
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        net::sendmsg(
            &self.0,
            &[IoSlice::new(&[0])],
            &mut control,
            SendFlags::empty(),
        )?;
        Ok(())
    }

    /// Waits for a descriptor.
    pub fn receive_fd(&self) -> io::Result<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        net::recvmsg(&self.0, buffers, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fd = fds.next().and_then(|mut fds| fds.next());
        fd.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no descriptor came"))
    }
}

impl From<OwnedFd> for Channel {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
